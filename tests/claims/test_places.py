"""Figures that belong to claims, and anchors of the cells that judge them."""

import re

import nbformat

from spectral_book.claims.places import (
    CLAIMS,
    FIGURE,
    JUDGED,
    code_anchors,
    figures_of_claims,
    mark,
    with_code_anchors,
)

KINDS = {int: FIGURE, list: CLAIMS, str: JUDGED}


def page(*cells):
    """Return a notebook: texts are Markdown, lists the marks of a cell's outputs.

    Of these a number marks a figure, a list claims that are shown, a word a judgement.
    """
    made = []
    for cell in cells:
        if isinstance(cell, str):
            made.append(nbformat.v4.new_markdown_cell(cell))
            continue
        kinds = [(KINDS[type(name)], name) for name in cell]
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
            *("# Title", [1], [["after"]], [2], [["second", "two"]], [["early"]]),
            *("text\n\n## Next", ["late", ["early", "too"]], [3, 4, ["between"]]),
            *([5], [["late"]], "### No figure", [["none"]], ["only judged"]),
            *("text\n\n```python\n# a comment\n```\n\nand on", [["also-none"]]),
            *("## Last", [6], "```\n# no heading\n```", [["same"]]),
        )
    )
    assert found == {
        **{"after": 1, "second": 2, "two": 2, "early": 3, "too": 3},
        **{"between": 4, "late": 5, "same": 6},
    }


def test_cells_that_judge_get_anchors():
    source = page("# Title", [1, ["one"]], [2, "one", "two"], ["three"])
    anchored = with_code_anchors(source)
    kinds = [cell.cell_type for cell in anchored.cells]
    assert kinds == ["markdown", "code", "markdown", "code", "markdown", "code"]
    ids = [re.findall('id="([^"]*)"', cell.source) for cell in anchored.cells]
    assert ids == [[], [], ["code-one", "code-two"], [], ["code-three"], []]
    assert len(source.cells) == 4
    assert code_anchors(source)["two"] == "code-two"
