"""In what a run differs from the paper's: computed from the parameters of both."""

import ast
import io
import tokenize
from collections.abc import Mapping
from typing import Any

from spectral_book.chapter.parameters import MACHINE


def differences(
    here: Mapping[str, Any], paper: Mapping[str, Any], meanings: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return the parameters that differ, with what they are, in this run's order."""
    return [
        {
            "name": name,
            "here": _text(value),
            "paper": _text(paper[name]),
            "meaning": meanings.get(name, ""),
        }
        for name, value in here.items()
        if name in paper and value != paper[name]
        if name not in (*MACHINE, "profile")
    ]


def meanings(source: str) -> dict[str, str]:
    """Return what the comments of a parameters cell say of each name."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokens
        if token.type == tokenize.COMMENT
    }
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]):
                pass
            case ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case _:
                continue
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        found[name] = " ".join(comments[i] for i in lines if i in comments)
    return found


def _text(value: Any) -> str:
    """Return a parameter's value as it is written, lists without brackets."""
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
