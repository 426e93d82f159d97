"""What YAML reads as something else than was written."""

from __future__ import annotations

import math

import pytest

from spectral_book.readable import InputError
from spectral_book.yaml_files import read_yaml


def test_numbers_are_numbers_and_text_is_text(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text(
        "[0, -7, 010, 1e-3, 1.5E3, -2e4, .5e1, -.inf, '010', 12:30, 12:00:00, 0.5]"
    )
    expected = [0, -7, 10, 1e-3, 1500.0, -2e4, 5.0, -math.inf]
    expected += ["010", "12:30", "12:00:00", 0.5]
    assert read_yaml(path) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a:\n  rate: [1]\n  rate: [2]\n", "'rate' stands here twice"),
        ("a: [", "expected the node content"),
        ("a: !!python/object/apply:os.system [touch x]", "could not determine"),
        ("a: \x01", "unacceptable character"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_by_the_file_s_name(tmp_path, text, words):
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))
