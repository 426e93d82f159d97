"""Chapters over many parameters, on one machine or many."""
