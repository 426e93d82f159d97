"""Numbers that a notebook hands out."""

from __future__ import annotations

import nbformat
import numpy as np
import pytest

from spectral_book.sweeps.scalars import MIME_TYPE, record, scalars_of


def notebook_of(outputs):
    cell = nbformat.v4.new_code_cell("")
    cell.outputs = [nbformat.v4.new_output("display_data", data=d) for d in outputs]
    prose = nbformat.v4.new_markdown_cell("no outputs")
    return nbformat.v4.new_notebook(cells=[prose, cell])


def test_what_is_handed_out_is_read_and_the_last_of_a_name_counts(monkeypatch):
    outputs = []
    place = "spectral_book.sweeps.scalars.display"
    monkeypatch.setattr(place, lambda data, raw: outputs.append(data))
    record(loss=1.0, steps=3, name="a", ok=True)
    record(loss=np.float32(0.5), worst=float("nan"), rate=np.inf)
    assert outputs[0]["text/plain"] == "loss = 1.0"
    assert scalars_of(notebook_of(outputs)) == {
        "loss": 0.5,
        "steps": 3,
        "name": "a",
        "ok": True,
        "worst": None,
        "rate": None,
    }


def test_scrapbook_s_form_is_read_and_what_is_no_scalar_left_out():
    form = {"encoder": "json", "version": 1}
    outputs = [
        {MIME_TYPE: {"name": "glued", "data": 2.5, **form}},
        {MIME_TYPE: {"name": "list", "data": [1, 2], **form}},
        {MIME_TYPE: "other"},
        {"text/plain": "3"},
    ]
    assert scalars_of(notebook_of(outputs)) == {"glued": 2.5}


def test_a_list_cannot_be_recorded():
    with pytest.raises(TypeError, match="losses is list; record numbers"):
        record(losses=[1, 2])
