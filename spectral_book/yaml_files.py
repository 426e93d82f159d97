"""YAML as it is read here: for sweeps, clusters and the profiles of chapters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from spectral_book.readable import InputError


def read_yaml(path: Path) -> Any:
    """Read a YAML file in which 1e-3 is a number and no name stands twice.

    Raises
    ------
    InputError
        If it is not such a file, or holds what YAML reads as another number: 010 as 8,
        12:30 as 750.
    """
    try:
        return yaml.load(path.read_text("utf-8"), _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise InputError(f"{where}: {error.problem}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from error


def profile_values(notebook: Path, profile: str) -> dict[str, Any]:
    """Return a profile's parameters for a chapter, from `params/` beside its folder.

    Raises
    ------
    InputError
        If there is no such file, or it does not name parameters.
    """
    path = notebook.parents[1] / "params" / profile / f"{notebook.stem}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise InputError(
            f"profile {profile!r}: there is no {path}; known chapters: {known or '-'}."
        )
    values = read_yaml(path) or {}
    if not isinstance(values, dict):
        raise InputError(f"{path} must name parameters and their values")
    return values


class _Loader(yaml.SafeLoader):
    """Safe YAML without its traps."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        names = [key.value for key, _ in node.value]
        for name, n in Counter(map(str, names)).items():
            if n > 1:
                raise yaml.MarkedYAMLError(
                    problem=f"{name!r} stands here twice", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """Return a number that everybody reads as the same one."""
        text = node.value
        if ":" in text:
            advice = f"{text} is a number in base 60 to YAML; write it in quotes"
            raise yaml.MarkedYAMLError(problem=advice, problem_mark=node.start_mark)
        if re.fullmatch("[-+]?0[0-7_]+", text):
            plain = int(text.replace("_", ""))
            advice = f"{text} is a number in base 8 to YAML; write {plain}"
            raise yaml.MarkedYAMLError(problem=advice, problem_mark=node.start_mark)
        if node.tag.endswith(":int"):
            return self.construct_yaml_int(node)
        return self.construct_yaml_float(node)


# YAML 1.1 takes a number without a point or a sign, such as 1e-3 or 1.5e3, for text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)
for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)
