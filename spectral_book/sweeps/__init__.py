"""Sweeps: a notebook over many parameters, here, on a scheduler or a batch system.

Two errors are for whoever asked and hold one message. `InputError`: what was written
cannot be used, and nothing was started. `SweepStopped`: the sweep broke off, since a
folder cannot be written or a scheduler is gone, and the same command goes on.
"""
