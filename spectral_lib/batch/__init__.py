"""Chapters over many parameters: sweeps with papermill, on one machine or a cluster."""
