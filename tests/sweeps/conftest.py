"""A sweep that is done, written without running anything."""

from __future__ import annotations

import nbformat
import pytest
from tiny import claim_rows

from spectral_book.repository import chapter_code
from spectral_book.sweeps.results import now, store, write_request

SIZES, WORDS = [4, 1, 2, 3], ["a", "b"]


@pytest.fixture
def done(tmp_path):
    """The folder of eight points, of sizes 1 to 4 and words a and b."""
    out = tmp_path / "out"
    ids = [f"size={s},word={w}-{'0' * 9}{i}" for i, (s, w) in enumerate(grid())]
    out.mkdir()
    write_request(out, "tiny", "chapter", ids)
    for name, (size, word) in zip(ids, grid(), strict=True):
        record = {
            "id": name,
            "state": "done",
            "chapter": "tiny",
            "parameters": {"size": size, "rate": 0.5, "word": word, "list": [1]},
            "code": f"chapter-{chapter_code()}",
            "seconds": 1.0,
            "host": "here",
            "finished": now(),
            "claims": claim_rows(size, 0.5),
        }
        cell = nbformat.v4.new_code_cell("1", execution_count=1)
        cell.outputs = [nbformat.v4.new_output("stream", text=f"ran {name}")]
        title = nbformat.v4.new_markdown_cell("(tiny)=\n# Tiny")
        store(out, record, nbformat.v4.new_notebook(cells=[title, cell]))
    return out


def grid():
    return [(size, word) for size in SIZES for word in WORDS]
