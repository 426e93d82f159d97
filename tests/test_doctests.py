"""Examples in docstrings of the library say what it does."""

import doctest
import importlib
import pkgutil

import pytest

import spectral_lib

MODULES = [
    m.name for m in pkgutil.walk_packages(spectral_lib.__path__, "spectral_lib.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_there_are_examples():
    examples = [
        example
        for name in MODULES
        for found in doctest.DocTestFinder().find(importlib.import_module(name))
        for example in found.examples
    ]
    assert len(examples) >= 8
