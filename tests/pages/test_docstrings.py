"""Docstrings as the pages show them."""

from __future__ import annotations

import pytest

from spectral_book.pages.docstrings import keep_together


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (":ivar a, b: Tensors, by name: [R].", ":ivar a,b: Tensors, by name: [R]."),
        (":ivar a, b, c:", ":ivar a,b,c:"),
        (":vartype a: dict[str, int]", ":vartype a: dict[str, int]"),
        ("Words, and :ivar a, b: more.", "Words, and :ivar a, b: more."),
    ],
)
def test_attributes_of_one_line_are_names_and_no_types(line, shown):
    lines = [line]
    keep_together(None, "class", "", None, None, lines)
    assert lines == [shown]
