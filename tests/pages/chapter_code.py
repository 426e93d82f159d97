"""A chapter's own functions, taken from its notebook without training anything."""

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest
from matplotlib import pyplot as plt

BOOK = Path(__file__).parents[2] / "book"


def functions_of(
    chapter: str, first_training: str, *kinds: type[ast.stmt], **parameters: Any
) -> dict[str, Any]:
    """Run a notebook up to a line of its first training; after that, functions alone.

    ``kinds`` are statements that run besides functions, ``parameters`` are values in
    place of the notebook's.
    """
    notebook = nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4)
    namespace: dict[str, Any] = {"__name__": "chapter"}
    before = True
    with pytest.MonkeyPatch.context() as patch, plt.rc_context():
        patch.chdir(BOOK)
        for cell in notebook.cells:
            if cell.cell_type != "code":
                continue
            before = before and first_training not in cell.source
            tree = ast.parse(cell.source)
            if not before:
                kept = (ast.FunctionDef, *kinds)
                tree.body = [node for node in tree.body if isinstance(node, kept)]
            exec(compile(tree, "cell", "exec"), namespace)
            if "parameters" in cell.metadata.get("tags", []):
                namespace |= {"device": "cpu", **parameters}
    assert not before, f"{chapter} has no line {first_training!r}"
    return namespace
