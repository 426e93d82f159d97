"""Check all points of a sweep by the chapter's own types, before any starts.

A chapter declares its types in a class after its parameters. That class alone is made,
in a process of its own; nothing is trained. For a notebook without one, the annotations
of its parameters cell are the types.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import CodeType
from typing import Any, TypeGuard

from pydantic import ValidationError, create_model

from spectral_book.chapter.parameters import ChapterParameters
from spectral_book.readable import InputError, error_sentences
from spectral_book.sweeps.points import Point, SweptChapter

_SHOWN = 20


def check_points(
    chapter: SweptChapter, points: Sequence[Point], *, elsewhere: bool = False
) -> None:
    """Check every point and report all that are wrong at once.

    Parameters
    ----------
    chapter
        The notebook with its types.
    points
        What is to be run.
    elsewhere
        Whether the points run on other machines; then whether a GPU is there is left
        to them.

    Raises
    ------
    InputError
        With one line for each different problem.
    """
    codes = [cell for cell in chapter.notebook.cells if cell.cell_type == "code"]
    tagged = (c for c in codes if "parameters" in c.metadata.get("tags", []))
    request = {
        "parameters": next(tagged).source,
        "cells": [cell.source for cell in codes],
        "points": [
            p.parameters | ({"device": "cpu"} if elsewhere and p.needs_gpu else {})
            for p in points
        ],
    }
    ran = subprocess.run(
        [sys.executable, "-m", "spectral_book.sweeps.check"],
        input=json.dumps(request),
        cwd=chapter.path.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        errors = re.findall(r"^[\w.]+: .*", ran.stderr, re.MULTILINE) or ["no message"]
        raise InputError(f"the types of {chapter.path} cannot be read: {errors[-1]}")
    problems: dict[str, list[str]] = {}
    for point, message in zip(points, json.loads(ran.stdout), strict=True):
        if message:
            problems.setdefault(message, []).append(point.id)
    if problems:
        raise InputError(_report(problems, len(points)))


def _report(problems: Mapping[str, Sequence[str]], total: int) -> str:
    """Return a message with all problems, the most frequent first."""
    bad = sum(map(len, problems.values()))
    lines = [f"{bad} of {total} points cannot run; nothing was started"]
    for message, ids in sorted(problems.items(), key=lambda p: -len(p[1]))[:_SHOWN]:
        where = f"point {ids[0]}"
        if len(ids) > 1:
            where = f"{len(ids)} points, the first being {ids[0]}"
        lines.append(f"  {message} ({where})")
    if len(problems) > _SHOWN:
        lines.append(f"  and {len(problems) - _SHOWN} more")
    return "\n".join(lines)


def parameter_class(parameters: str, cells: Sequence[str]) -> Any:
    """Return the class of a chapter's parameters, made from the source of its cells.

    Of all cells only that with the parameters and that with the class are run, the
    latter up to the class.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for source in cells:
        try:
            statements = ast.parse(source).body
        except SyntaxError:  # a magic or a shell line
            continue
        if source == parameters:
            exec(_compiled(source), namespace)
        for place, statement in enumerate(statements):
            if _is_parameter_class(statement):
                part = ast.Module(statements[: place + 1], type_ignores=[])
                exec(_compiled(part), namespace)
                return namespace[statement.name].completed(namespace)
    kinds = namespace.get("__annotations__", {})
    fields: dict[str, Any] = {
        name: (kinds.get(name, Any), ...)
        for name in namespace
        if not name.startswith("__")
    }
    config = ChapterParameters.model_config
    return create_model("Parameters", __config__=config, **fields)


def _is_parameter_class(statement: ast.stmt) -> TypeGuard[ast.ClassDef]:
    return isinstance(statement, ast.ClassDef) and any(
        ast.unparse(base).endswith("ChapterParameters") for base in statement.bases
    )


def _compiled(code: str | ast.Module) -> CodeType:
    """Compile code as a notebook does: without the future imports of this module."""
    return compile(code, "chapter", "exec", dont_inherit=True)


def main() -> None:
    """Read a request from standard input and write one message for each point."""
    request = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        kind = parameter_class(request["parameters"], request["cells"])
        messages = []
        for values in request["points"]:
            try:
                kind.model_validate(values)
                messages.append("")
            except ValidationError as error:
                known = list(kind.model_fields)
                messages.append(error_sentences(error, known, "parameter"))
    print(json.dumps(messages))


if __name__ == "__main__":
    main()
