"""A chapter as a file: its parameters, its code, and what it imports."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from spectral_book.chapter.parameters import defaults
from spectral_book.sweeps.errors import SweepError


@dataclass(frozen=True)
class ChapterFile:
    """A notebook with a tagged `parameters` cell.

    Attributes
    ----------
    path
        The file, absolute; kernels work in its folder.
    notebook
        Its content when it was read.
    defaults
        What its parameters cell assigns, in order.
    code
        A hash of what decides a result: the code and the frozen claims.
    """

    path: Path
    notebook: NotebookNode
    defaults: dict[str, Any]
    code: str

    @property
    def name(self) -> str:
        """The chapter's name: that of its file."""
        return self.path.stem

    def parameters_cell(self) -> int:
        """Return the index of the cell tagged `parameters`."""
        return next(i for i, c in enumerate(self.notebook.cells) if _is_tagged(c))

    def code_cells(self) -> list[str]:
        """Return the source of the code cells."""
        return [c.source for c in self.notebook.cells if c.cell_type == "code"]

    def imports(self) -> tuple[str, ...]:
        """Return the modules that its cells import at their top level, in order."""
        found = dict.fromkeys(m for s in self.code_cells() for m in _imports(s))
        return tuple(found)


def read_chapter(path: Path) -> ChapterFile:
    """Read a chapter's notebook.

    Raises
    ------
    SweepError
        If there is no such notebook, or it has no cell of literal parameters.
    """
    path = path.absolute()
    if not path.is_file():
        raise SweepError(f"there is no chapter {path}")
    try:
        notebook = nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise SweepError(f"{path} is not a notebook: {error}") from error
    if not any(_is_tagged(cell) for cell in notebook.cells):
        raise SweepError(f"{path} has no cell tagged 'parameters'; tag one")
    known = defaults(path)
    if not known:
        raise SweepError(
            f"the parameters cell of {path} must assign literals and nothing else"
        )
    return ChapterFile(path, notebook, known, _hash(path, notebook))


def _hash(path: Path, notebook: NotebookNode) -> str:
    digest = hashlib.sha256()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            digest.update(cell.source.encode() + b"\0")
    claims = path.parent / "claims" / f"{path.stem}.yaml"
    if claims.is_file():
        digest.update(claims.read_bytes())
    return digest.hexdigest()[:12]


def _is_tagged(cell: NotebookNode) -> bool:
    return "parameters" in cell.metadata.get("tags", [])


def _imports(source: str) -> Iterator[str]:
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic or a shell line
        return
    for statement in statements:
        match statement:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
