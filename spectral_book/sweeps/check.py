"""Check all points of a sweep by the chapter's own types, before any starts.

A chapter declares its types in a class after its parameters. Of the whole notebook the
cell of parameters and that class alone are run; nothing is trained. For a notebook
without one, the annotations of its parameters are the types.
"""

import ast
import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError, create_model

from spectral_book.chapter.parameters import ChapterParameters
from spectral_book.readable import InputError, error_sentences
from spectral_book.sweeps.points import Point, SweptChapter

_SHOWN = 20


def check_points(
    chapter: SweptChapter, points: Sequence[Point], *, elsewhere: bool = False
) -> None:
    """Raise one InputError for all points that are wrong, a line for each problem.

    Whether a GPU is there is left to the machines that run points `elsewhere`.
    """
    kind = _parameter_class(chapter)
    known = list(kind.model_fields)
    problems: dict[str, list[str]] = {}
    for point in points:
        on_cpu = {"device": "cpu"} if elsewhere and point.needs_gpu else {}
        try:
            kind.model_validate(point.parameters | on_cpu)
        except ValidationError as error:
            message = error_sentences(error, known, "parameter")
            problems.setdefault(message, []).append(point.id)
    if not problems:
        return
    bad = sum(map(len, problems.values()))
    lines = [f"{bad} of {len(points)} points cannot run; nothing was started"]
    for message, ids in sorted(problems.items(), key=lambda p: -len(p[1]))[:_SHOWN]:
        several = f"{len(ids)} points, the first being {ids[0]}"
        where = several if len(ids) > 1 else f"point {ids[0]}"
        lines.append(f"  {message} ({where})")
    if len(problems) > _SHOWN:
        lines.append(f"  and {len(problems) - _SHOWN} more")
    raise InputError("\n".join(lines))


def _parameter_class(chapter: SweptChapter) -> Any:
    """Return the class of a chapter's parameters, or one made of their annotations."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    cells = [cell for cell in chapter.notebook.cells if cell.cell_type == "code"]
    tagged = [c for c in cells if "parameters" in c.metadata.get("tags", [])]
    with (
        contextlib.chdir(chapter.path.parent),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        for cell in tagged:
            _run(ast.parse(cell.source).body, namespace)
        for statements, name in _classes(cell.source for cell in cells):
            try:
                _run(statements, namespace)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
                raise InputError(
                    f"the types of {chapter.path} cannot be read: {problem}"
                ) from error
            return namespace[name].completed(namespace)
    kinds = namespace.get("__annotations__", {})
    fields: dict[str, Any] = {
        name: (kinds.get(name, Any), ...) for name in chapter.defaults
    }
    config = ChapterParameters.model_config
    return create_model("Parameters", __config__=config, **fields)


def _classes(sources: Iterable[str]) -> Iterator[tuple[list[ast.stmt], str]]:
    """Yield the statements of a cell up to its class of parameters, and its name."""
    for source in sources:
        try:
            statements = ast.parse(source).body
        except SyntaxError:  # a magic or a shell line
            continue
        for place, statement in enumerate(statements):
            if isinstance(statement, ast.ClassDef) and any(
                ast.unparse(base).endswith("ChapterParameters")
                for base in statement.bases
            ):
                yield statements[: place + 1], statement.name


def _run(statements: list[ast.stmt], namespace: dict[str, Any]) -> None:
    """Run code as a notebook does: without the future imports of this module."""
    module = ast.Module(statements, type_ignores=[])
    exec(compile(module, "chapter", "exec", dont_inherit=True), namespace)
