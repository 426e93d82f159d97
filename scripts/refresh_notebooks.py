"""Bring committed notebooks into their one form: no outputs but the checked tables.

Runs each notebook with its default parameters, keeps the outputs of cells tagged
``nbval-check-output`` and drops every other output, execution count and widget state.
Two runs give the same bytes. With ``--strip`` nothing runs: outputs already there are
kept or dropped by the same rule. Cells whose code pages fold are folded in JupyterLab,
too. With ``--check`` nothing is written: the exit status says whether a notebook is in
that form.
"""

import argparse
import os
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from spectral_book.budget import Budget
from spectral_book.runner import NotebookJob, execute_notebooks

CHECKED = "nbval-check-output"


def execute(path: Path) -> NotebookNode:
    """Run a notebook as the build does; end with what went wrong if something does."""
    environment = Budget(1, 1).kernel_environment(os.environ)
    job = NotebookJob(path.stem, path)
    (run,) = execute_notebooks([job], at_once=1, environment=environment)
    if run.failure is not None:
        sys.exit(run.failure.describe(run.name))
    return run.notebook


def strip(notebook: NotebookNode) -> NotebookNode:
    """Drop what a committed notebook does not carry; numbers cells by position."""
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        if "hide-input" in cell.metadata.get("tags", []):
            cell.metadata["jupyter"] = {"source_hidden": True}  # JupyterLab folds it
        if CHECKED in cell.metadata.get("tags", []) and cell.outputs:
            cell.execution_count = 1  # nbval refuses outputs of a cell never run
            for output in cell.outputs:
                if "execution_count" in output:
                    output["execution_count"] = 1
        else:
            cell.outputs, cell.execution_count = [], None
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    return notebook


def main() -> int:
    """Refresh, strip or check the notebooks named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="+", type=Path)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--strip", action="store_true", help="do not run, only strip")
    mode.add_argument("--check", action="store_true", help="do not write, only check")
    options = parser.parse_args()

    untidy = []
    for path in options.notebooks:
        notebook = nbformat.read(path, as_version=4)
        if not (options.strip or options.check):
            notebook = execute(path)
        text = nbformat.writes(strip(notebook)) + "\n"
        if options.check:
            if text != path.read_text(encoding="utf-8"):
                untidy.append(str(path))
        else:
            new = path.with_suffix(".ipynb.new")
            new.write_text(text, encoding="utf-8")
            new.replace(path)
    if untidy:
        print(f"Not in their committed form: {', '.join(untidy)}; run with --strip.")
    return 1 if untidy else 0


if __name__ == "__main__":
    sys.exit(main())
