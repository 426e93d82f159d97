"""Sweeps: a notebook over many parameters, here, on a scheduler or a batch system."""
