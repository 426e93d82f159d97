"""What to run: a sweep file, and the points of a chapter that it stands for."""

import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import nbformat
from nbformat import NotebookNode
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from spectral_book.chapter.parameters import defaults
from spectral_book.readable import InputError, error_sentences
from spectral_book.yaml_files import profile_values, read_yaml

Parameters = dict[str, Any]
_DIGITS = 10  # of the hash


class Sweep(BaseModel):
    """A sweep: every combination of the grid, with every entry of the list.

    Both come on top of what is fixed, and that on top of the profile, a folder of
    `params/`. The chapter is a notebook; in a file, its path is relative to the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chapter: Path
    profile: str = "quick"
    fixed: Parameters = {}
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    listed: list[Parameters] = Field(default=[], alias="list")

    @field_validator("fixed", "grid", "listed", mode="before")
    @classmethod
    def _as_json(cls, value: Any) -> Any:
        return json.loads(json.dumps(value, default=_listed, allow_nan=False))


@dataclass(frozen=True)
class SweptChapter:
    """A notebook with a cell tagged `parameters`.

    `path` is absolute, `defaults` are what that cell assigns, and `code` is a hash of
    what decides a result: the code and the frozen claims.
    """

    path: Path
    notebook: NotebookNode
    defaults: Parameters
    code: str

    @property
    def name(self) -> str:
        """That of its file."""
        return self.path.stem


@dataclass(frozen=True)
class Point:
    """One run of the chapter, with all its `parameters`.

    `id`, safe as a file name, has the values of the grid and the list, to be read, and
    a hash of the chapter's name and all parameters, which identifies it.
    """

    id: str
    parameters: Parameters

    @property
    def needs_gpu(self) -> bool:
        """Whether it asks for a GPU."""
        return self.parameters.get("device") == "cuda"


def load_sweep(source: Mapping[str, Any] | Path) -> Sweep:
    """Read a sweep from a mapping, or from a file and then relative to its folder."""
    where, folder, content = "the sweep", Path(), source
    if isinstance(source, Path):
        if not source.is_file():
            raise InputError(f"there is no sweep file {source}")
        where, folder, content = str(source), source.parent, read_yaml(source)
    if not isinstance(content, Mapping):
        raise InputError(f"{where} must hold a mapping with 'chapter' and 'grid'")
    try:
        sweep = Sweep.model_validate(dict(content))
    except ValidationError as error:
        known = [field.alias or n for n, field in Sweep.model_fields.items()]
        raise InputError(f"{where}: {error_sentences(error, known)}") from None
    return sweep.model_copy(update={"chapter": folder / sweep.chapter})


def read_chapter(path: Path) -> SweptChapter:
    """Read a chapter's notebook, which must have a cell of literal parameters."""
    path = path.absolute()
    if not path.is_file():
        raise InputError(f"there is no chapter {path}")
    try:
        notebook, known = nbformat.read(path, as_version=4), defaults(path)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise InputError(f"{path} is not a notebook: {error}") from error
    if not known:
        raise InputError(
            f"{path} must have a cell tagged 'parameters' that assigns literals and "
            "nothing else"
        )
    digest = hashlib.sha256()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            digest.update(cell.source.encode() + b"\0")
    claims = path.parent / "claims" / f"{path.stem}.yaml"
    if claims.is_file():
        digest.update(claims.read_bytes())
    return SweptChapter(path, notebook, known, digest.hexdigest()[:12])


def points_of(
    sweep: Sweep, chapter: SweptChapter, known_ids: Iterable[str] = ()
) -> list[Point]:
    """Return the points of a sweep, the last name of the grid turning fastest.

    A point that an earlier version of the sweep had keeps its id among `known_ids`,
    also if that version gave as fixed what this one has in its grid.
    """
    listed = sweep.listed or [{}]
    for name in sweep.grid:
        if name in sweep.fixed or any(name in entry for entry in listed):
            raise InputError(f"{name!r} is in the grid and elsewhere; leave one")
    base = dict(sweep.fixed)
    if sweep.profile != "quick":  # which is the notebook itself
        base = profile_values(chapter.path, sweep.profile) | base
    points = []
    for entry in listed:
        for values in itertools.product(*sweep.grid.values()):
            shown = entry | dict(zip(sweep.grid, values, strict=True))
            points.append(_point(chapter, base | shown, shown))
    repeated = [name for name, n in Counter(p.id for p in points).items() if n > 1]
    if repeated:
        raise InputError(f"these points are in the sweep twice: {', '.join(repeated)}")
    names = {name[-_DIGITS:]: name for name in known_ids}
    return [replace(p, id=names.get(p.id[-_DIGITS:], p.id)) for p in points]


def _point(chapter: SweptChapter, given: Parameters, shown: Parameters) -> Point:
    """Return a point; its id names the parameters `shown`."""
    parameters = chapter.defaults | given
    text = json.dumps([chapter.name, parameters], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
    label = ""
    for name, value in shown.items():
        text = value if isinstance(value, str) else json.dumps(value)
        short = re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("_")[:24]
        longer = f"{label},{name}={short}".strip(",")
        label = longer if len(longer) <= 80 else label
    return Point(f"{label or 'point'}-{digest}", parameters)


def _listed(value: Any) -> Any:
    """Return an array or a range as a list, for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, range):
        return list(value)
    kind = type(value).__name__
    raise ValueError(f"{value!r} is {kind}; use numbers, text, true, null or lists")
