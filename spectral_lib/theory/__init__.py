"""What mathematics predicts: linear stability, kernel equations and their chaos.

========================= ======================================================
`heat`                    explicit heat scheme and its von Neumann amplifier
`patches`                 images under a sliding kernel, the checkerboard
`patch_operator`          responses, adjoint and Gram operator of an image
`kernel_gradient`         gradients of a one-layer network, full and linearised
`kernel_pde`              their discretisations: Euler, Nesterov, perturbed
`gram_spectrum`           extreme eigenvalues that stability hangs on
`stability`               bounds on weight decay, printed and exact
`regimes`                 the three regimes of the non-linear equation
`chaos`                   the one-dimensional map on the checkerboard
`instabilities`           figures 1, 3 and 4 of Sun et al. 2022
`instability_bounds`      its tables 2 and 6
========================= ======================================================
"""
