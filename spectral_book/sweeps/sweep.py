"""What to run: a sweep file, and the points it stands for."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from spectral_book.sweeps.chapter_files import ChapterFile
from spectral_book.sweeps.errors import SweepError
from spectral_book.sweeps.readable import sentences

Parameters = dict[str, Any]
_DIGITS = 10  # of the hash


class Sweep(BaseModel):
    """A sweep: every combination of the grid, with every entry of the list.

    Attributes
    ----------
    chapter
        The notebook; in a file, relative to it.
    profile
        A folder of `params/`, whose values come before all others.
    fixed
        Values that are the same at all points.
    grid
        For each name the values it takes.
    list
        Groups of values that belong together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chapter: Path
    profile: str | None = None
    fixed: Parameters = {}
    grid: dict[str, list[Any]] = {}
    listed: list[Parameters] = Field(default=[], alias="list")

    @field_validator("fixed", "grid", "listed", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return _plain(value)

    @field_validator("grid")
    @classmethod
    def _has_values(cls, grid: dict[str, list[Any]]) -> dict[str, list[Any]]:
        for name, values in grid.items():
            if not values:
                raise ValueError(f"{name!r} has no values; give at least one")
        return grid


@dataclass(frozen=True)
class Point:
    """One run of the chapter.

    Attributes
    ----------
    id
        Its values of the grid and the list, to be read, and a hash of the chapter's
        name and all parameters, which identifies it. It is safe as a file name.
    parameters
        All parameters, those with default values too.
    given
        Those that papermill has to set.
    """

    id: str
    parameters: Parameters
    given: Parameters


def load_sweep(path: Path) -> Sweep:
    """Read a sweep file; its chapter is looked for from the file's folder.

    Raises
    ------
    SweepError
        If the file is not there, is not YAML, or says what a sweep does not know.
    """
    if not path.is_file():
        raise SweepError(f"there is no sweep file {path}")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise SweepError(f"{path} must hold a mapping with 'chapter' and 'grid'")
    sweep = make_sweep(content, str(path))
    return sweep.model_copy(update={"chapter": path.parent / sweep.chapter})


def make_sweep(content: Mapping[str, Any], where: str = "the sweep") -> Sweep:
    """Make a sweep from a mapping, as it stands in a file.

    Raises
    ------
    SweepError
        If the mapping says what a sweep does not know.
    """
    try:
        return Sweep.model_validate(dict(content))
    except ValidationError as error:
        known = [field.alias or n for n, field in Sweep.model_fields.items()]
        raise SweepError(f"{where}: {sentences(error, known)}") from None


def points_of(sweep: Sweep, chapter: ChapterFile) -> list[Point]:
    """Return the points of a sweep, the last name of the grid turning fastest.

    Raises
    ------
    SweepError
        If a name is given in two places, the profile has no file, or two points are
        the same.
    """
    listed = sweep.listed or [{}]
    for name in sweep.grid:
        if name in sweep.fixed or any(name in entry for entry in listed):
            raise SweepError(f"{name!r} is in the grid and elsewhere; leave one")
    base = profile_values(sweep.profile, chapter) | sweep.fixed
    points = []
    for entry in listed:
        for values in itertools.product(*sweep.grid.values()):
            shown = entry | dict(zip(sweep.grid, values, strict=True))
            points.append(make_point(chapter, base | shown, shown))
    repeated = [name for name, n in Counter(p.id for p in points).items() if n > 1]
    if repeated:
        raise SweepError(f"these points are in the sweep twice: {', '.join(repeated)}")
    return points


def make_point(chapter: ChapterFile, given: Parameters, shown: Parameters) -> Point:
    """Return the point with the given parameters, the rest being the defaults.

    `shown` are those that its id names.
    """
    parameters = chapter.defaults | given
    text = json.dumps([chapter.name, parameters], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    label = ""
    for name, value in shown.items():
        longer = f"{label},{name}={_short(value)}".strip(",")
        label = longer if len(longer) <= 80 else label
    return Point(f"{label or 'point'}-{digest}", parameters, given)


def with_known_ids(points: Iterable[Point], known: Iterable[str]) -> list[Point]:
    """Return points with the ids they have already, where only the labels differ.

    A point that an earlier version of the sweep had is the same one, also if that
    version gave as fixed what this one has in its grid.
    """
    names = {name[-_DIGITS:]: name for name in known}
    return [replace(p, id=names.get(p.id[-_DIGITS:], p.id)) for p in points]


def profile_values(profile: str | None, chapter: ChapterFile) -> Parameters:
    """Return a profile's values for a chapter, from `params/` above the chapter.

    Raises
    ------
    SweepError
        If there is no such file; `quick` needs none, it is the notebook itself.
    """
    if profile in (None, "quick"):
        return {}
    name = Path("params", str(profile), f"{chapter.name}.yaml")
    for folder in chapter.path.parents:
        if (folder / name).is_file():
            return read_yaml(folder / name) or {}
    raise SweepError(f"profile {profile!r}: there is no {name} above {chapter.path}")


def read_yaml(path: Path) -> Any:
    """Read a YAML file in which 1e-3 is a number and no name stands twice.

    Raises
    ------
    SweepError
        If it is not such a file.
    """
    try:
        return yaml.load(path.read_text("utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SweepError(f"{path}: {error}") from error


class _Loader(yaml.SafeLoader):
    """Safe YAML without two of its traps."""

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


# YAML 1.1 takes a number without a point, such as 1e-3, for text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?\d+[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it; arrays and ranges become lists."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not finite")
    if isinstance(value, bool | int | float | str | None):
        return value
    raise ValueError(
        f"{value!r} is {type(value).__name__}; use numbers, text, true, null or lists"
    )


def _short(value: Any) -> str:
    """Return a value as a part of a file name."""
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("_")[:24]
