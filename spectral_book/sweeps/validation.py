"""Check all points of a sweep against the chapter's own types, before any starts.

A chapter declares its types in the cell after its parameters. That class alone is run,
in a process of its own and up to its last line; nothing is trained. A notebook that
declares none is checked against the annotations of its parameters cell.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from spectral_book.chapter.parameters import unknown_name
from spectral_book.sweeps.chapter_files import ChapterFile
from spectral_book.sweeps.errors import SweepError
from spectral_book.sweeps.readable import sentences
from spectral_book.sweeps.sweep import Point

_SHOWN = 20

Check = Callable[[Mapping[str, Any]], str]


def check_points(
    chapter: ChapterFile, points: Sequence[Point], *, elsewhere: bool = False
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
    SweepError
        With one line for each different problem.
    """
    start = chapter.parameters_cell()
    cells = chapter.notebook.cells
    request = {
        "parameters": cells[start].source,
        "cells": [c.source for c in cells[start + 1 :] if c.cell_type == "code"],
        "points": [
            point.parameters
            | ({"device": "cpu"} if elsewhere and asks_gpu(point) else {})
            for point in points
        ],
    }
    ran = subprocess.run(
        [sys.executable, "-m", "spectral_book.sweeps.validation"],
        input=json.dumps(request),
        cwd=chapter.path.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        errors = re.findall(r"^[\w.]+: .*", ran.stderr, re.MULTILINE) or ["no message"]
        raise SweepError(f"the types of {chapter.path} cannot be read: {errors[-1]}")
    problems: dict[str, list[Point]] = {}
    for point, message in zip(points, json.loads(ran.stdout), strict=True):
        if message:
            problems.setdefault(message, []).append(point)
    if problems:
        raise SweepError(_report(problems, len(points)))


def asks_gpu(point: Point) -> bool:
    """Return whether a point needs a GPU."""
    return point.parameters.get("device") == "cuda"


def _report(problems: Mapping[str, Sequence[Point]], total: int) -> str:
    """Return a message with all problems, the most frequent first."""
    bad = sum(len(points) for points in problems.values())
    lines = [f"{bad} of {total} points cannot run; nothing was started"]
    for message, points in sorted(problems.items(), key=lambda p: -len(p[1]))[:_SHOWN]:
        where = f"point {points[0].id}"
        if len(points) > 1:
            where = f"{len(points)} points, the first being {points[0].id}"
        lines.append(f"  {message} ({where})")
    if len(problems) > _SHOWN:
        lines.append(f"  and {len(problems) - _SHOWN} more")
    return "\n".join(lines)


def checker(parameters: str, cells: Sequence[str]) -> Check:
    """Return a function that gives what is wrong with a point, or an empty text.

    Parameters
    ----------
    parameters
        The source of the parameters cell.
    cells
        The code cells after it.
    """
    declared = _declared_class(parameters, cells)
    return _by_annotations(parameters) if declared is None else _by_class(declared)


def _declared_class(parameters: str, cells: Sequence[str]) -> type | None:
    """Run the cell that declares the parameter class, up to it, and return the class.

    Only a cell with a class based on `ChapterParameters` is run at all.
    """
    for source in cells:
        try:
            statements = ast.parse(source).body
        except SyntaxError:  # a magic or a shell line
            continue
        for place, statement in enumerate(statements):
            if isinstance(statement, ast.ClassDef) and any(
                ast.unparse(base).endswith("ChapterParameters")
                for base in statement.bases
            ):
                namespace: dict[str, Any] = {"__name__": "__main__"}
                exec(_compiled(parameters), namespace)
                part = ast.Module(statements[: place + 1], type_ignores=[])
                exec(_compiled(part), namespace)
                return namespace[statement.name].completed(namespace)
    return None


def _compiled(code: str | ast.Module) -> CodeType:
    """Compile code as a notebook does: without the future imports of this module."""
    return compile(code, "chapter", "exec", dont_inherit=True)


def _by_class(declared: Any) -> Check:
    """Return a check by a subclass of `ChapterParameters`."""

    def check(values: Mapping[str, Any]) -> str:
        try:
            declared.check(values)
        except ValueError as error:
            return str(error)
        return ""

    return check


def _by_annotations(parameters: str) -> Check:
    """Return a check by the types that the parameters cell itself names."""
    types: dict[str, TypeAdapter] = {}
    names = {**vars(typing)}
    for statement in ast.parse(parameters).body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                kind = eval(compile(ast.Expression(annotation), name, "eval"), names)
                types[name] = TypeAdapter(kind, config=ConfigDict(strict=True))
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                default = ast.literal_eval(value)
                kind = Any if default is None else type(default)
                types[name] = TypeAdapter(kind, config=ConfigDict(strict=True))

    def check(values: Mapping[str, Any]) -> str:
        wrong = [unknown_name(n, list(types)) for n in values if n not in types]
        for name in [n for n in types if n in values]:
            try:
                types[name].validate_python(values[name])
            except ValidationError as error:
                wrong.append(sentences(error, name=name))
        return " ".join(wrong)

    return check


def main() -> None:
    """Read a request from standard input and write one message per point."""
    request = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        check = checker(request["parameters"], request["cells"])
        messages = [check(values) for values in request["points"]]
    print(json.dumps(messages))


if __name__ == "__main__":
    main()
