"""Pictures attached to cells of Markdown, put into the text, as pages have no cells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from nbformat import NotebookNode

# An image, a link, a reference's definition, or HTML.
_USE = re.compile(r"(\]\(<?|\]:\s*<?|\bsrc=[\"']?)attachment:([^\s)\"'>]+)")
_KINDS = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""What the parser takes as the address of a picture."""


def with_attachments(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook whose texts hold their attachments; it is left as it is.

    Raises
    ------
    ValueError
        If a text names an attachment that its cell does not have as such a picture.
    """
    cells = [_with_attachments(cell) for cell in notebook.cells]
    return NotebookNode({**notebook, "cells": cells})


def _with_attachments(cell: NotebookNode) -> NotebookNode:
    """Return a cell of Markdown whose text holds its attachments."""
    if cell.cell_type != "markdown":
        return cell
    attached = cell.get("attachments", {})
    source = _USE.sub(lambda use: use[1] + _address(attached, use[2]), cell.source)
    rest = {key: value for key, value in cell.items() if key != "attachments"}
    return NotebookNode({**rest, "source": source})


def _address(attached: Mapping[str, Any], name: str) -> str:
    """Return a picture as an address that holds it."""
    data = attached.get(name) or attached.get(unquote(name)) or {}
    for kind in _KINDS:
        if kind in data:
            return f"data:{kind};base64,{''.join(data[kind].split())}"
    raise ValueError(
        f"a text shows the attachment {name!r}, which its cell does not have as PNG, "
        "JPEG, GIF or WebP; attach the picture again, or show a file"
    )
