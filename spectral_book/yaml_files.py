"""YAML as it is read here: for sweeps, clusters and the profiles of chapters."""

import re
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from spectral_book.readable import InputError


def read_yaml(path: Path) -> Any:
    """Read a YAML file in which no name stands twice; InputError if it is not one.

    Numbers are decimal, as in YAML 1.2: 1e-3 is one, 010 is ten, and 12:30 is text.
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

    InputError if there is no such file, or it does not name parameters.
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


_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
# YAML 1.1 takes 010 for 8, 12:30 for 750, and 1e-3 for text.
_Loader.yaml_implicit_resolvers = {
    first: [found for found in kinds if found[0] not in (_INT, _FLOAT)]
    for first, kinds in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_DECIMAL = r"(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|\.(inf|Inf|INF)"
_START = list("-+.0123456789")
_Loader.add_implicit_resolver(_INT, re.compile(r"^[-+]?\d+$"), _START)
_Loader.add_implicit_resolver(
    _FLOAT, re.compile(rf"^([-+]?({_DECIMAL})|\.(nan|NaN|NAN))$"), _START
)
_Loader.add_constructor(_INT, lambda loader, node: int(node.value))
