"""Figures that belong to claims, and anchors of the cells that judge them."""

import re

import nbformat

from spectral_book.claims.places import (
    CLAIM,
    FIGURE,
    code_anchors,
    figures_of_claims,
    mark,
    with_code_anchors,
)


def page(*cells):
    """Return a notebook: texts are Markdown, lists the marks of a cell's outputs."""
    made = []
    for cell in cells:
        if isinstance(cell, str):
            made.append(nbformat.v4.new_markdown_cell(cell))
            continue
        kinds = [(FIGURE if isinstance(name, int) else CLAIM, name) for name in cell]
        outputs = [
            nbformat.v4.new_output("display_data", {}, metadata=mark(*kind))
            for kind in kinds
        ]
        stream = nbformat.v4.new_output("stream", text="printed")
        made.append(nbformat.v4.new_code_cell("1", outputs=[stream, *outputs]))
    return nbformat.v4.new_notebook(cells=made)


def test_a_claim_belongs_to_the_last_figure_before_it_or_the_first_after_it():
    found = figures_of_claims(
        page(
            *("# Title", [1], ["after"], [2], ["second"], ["early"]),
            *("text\n\n## Next", ["early", "too"], [3, 4, "between"], [5], ["late"]),
            *("### No figure", ["none"]),
            *("text\n\n```python\n# a comment\n```\n\nand on", ["also-none"]),
            *("## Last", [6], "```\n# no heading\n```", ["same"]),
        )
    )
    assert found == {
        **{"after": 1, "second": 2, "early": 3, "too": 3},
        **{"between": 4, "late": 5, "same": 6},
    }


def test_cells_that_judge_get_anchors():
    source = page("# Title", [1], [2, "one", "two"], ["three"])
    anchored = with_code_anchors(source)
    kinds = [cell.cell_type for cell in anchored.cells]
    assert kinds == ["markdown", "code", "markdown", "code", "markdown", "code"]
    ids = [re.findall('id="([^"]*)"', cell.source) for cell in anchored.cells]
    assert ids == [[], [], ["code-one", "code-two"], [], ["code-three"], []]
    assert len(source.cells) == 4
    assert code_anchors(source)["two"] == "code-two"
