"""What mathematics predicts, before and beside training.

========================= ======================================================
of instabilities          (Sun et al. 2022)
`patches`                 images under a sliding kernel, the checkerboard
`patch_operator`          responses, adjoint and Gram operator of an image
`kernel_gradient`         gradients of a one-layer network, full and linearised
`kernel_pde`              their discretisations: Euler, Nesterov, perturbed
`gram_spectrum`           extreme eigenvalues that stability hangs on
`stability`               bounds on weight decay
`chaos`                   the one-dimensional map on the checkerboard
of frequency dynamics     (Molina et al. 2024)
`infinite_width`          tangent kernels and densities as the width grows
of double descent         (after Heckel & Yilmaz 2020)
`two_scales`              risk when two parts are learned at different speeds
========================= ======================================================
"""
