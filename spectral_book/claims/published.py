"""The form of what is published: `ledger.json`, its schema, and `ledger.csv`.

These models check every row that a chapter or a record holds, and the schema beside
`ledger.json` is made from them.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spectral_book.claims.claims_file import Condition, Printed
from spectral_book.claims.numbers import Row
from spectral_book.claims.verdicts import Shown, Verdict
from spectral_book.claims.words import Origin, word
from spectral_book.readable import error_sentences

SCHEMA_VERSION = 1

Number = float | Literal["inf", "-inf"] | None
"""A number of JSON, or what JSON has no number for; null where there is none."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Interval(_Strict):
    """An estimate with its interval, and how many seeds gave a number."""

    estimate: Number
    ci_low: Number
    ci_high: Number
    n: int = Field(ge=0)
    missing: int = Field(ge=0, description="seeds that gave no number")


class Control(Interval):
    """The same statistic where the effect should be absent."""

    name: str
    values: list[Number]
    shows: Shown


class Difference(Interval):
    """Measurement less control on the claim's scale; a ratio for logarithms."""

    how: str


class HeldScale(_Strict):
    """The scale that numbers were compared on."""

    name: str
    bounds: list[float] | None
    margin: float


class Held(Condition):
    """A precondition, and the mean that was measured for it."""

    measured: Number


class PublishedRow(Interval):
    """One claim of a paper or finding of this book, with all its verdict rests on."""

    id: str = Field(min_length=1)
    chapter: str = Field(min_length=1)
    paper: str
    source: str
    origin: Origin
    statement: str = Field(min_length=1)
    statistic: str
    quantity: str
    direction: Literal["greater", "less", "within"]
    threshold: float | None
    no_effect: float | None
    band: list[float] | None
    interval: Literal["t", "range"]
    scale: HeldScale
    printed: Printed | None
    late: str | None
    frozen: str
    rounding: list[float] | None = Field(
        description="how far interval and difference are known to move between "
        "processors, on the claim's scale"
    )
    rounding_decides: bool
    elsewhere: list[Number] | None = Field(
        default=None,
        description="where the interval may end on another processor, if rounding "
        "decides and two builds tell by how much",
    )
    differs: str
    values: list[Number] = Field(description="the statistic of each seed")
    control: Control
    precondition: Held | None
    ci_method: str
    difference: Difference | None
    p_bar: float | None = Field(description="one-sided p against the bar")
    share: float | None = Field(description="effect reached, of that asked for")
    rule: Verdict
    verdict: str
    why: str
    holm: bool | None = Field(description="whether it stands Holm's correction")
    otherwise: str
    profile: str
    device: str
    seconds: float
    page: str = ""
    figure: int | None = None
    code: str | None = None

    @model_validator(mode="after")
    def _worded(self) -> Self:
        if self.verdict != word(self.rule, self.origin):
            raise ValueError(
                f"the verdict {self.verdict!r} is not the word for {self.rule!r}."
            )
        return self


class Differs(_Strict):
    """A parameter whose value is not the paper's."""

    name: str
    here: str
    paper: str
    meaning: str


class Minute(_Strict):
    """What a paper says, what was measured, and the verdict on the claim."""

    says: str
    measured: str
    claim: str
    verdict: str


class Panel(_Strict):
    """A chapter's curve: what is missing at each frequency."""

    title: str
    about: str
    label: str
    x: list[float]
    missing: list[float]


class ChapterRun(_Strict):
    """The run that a chapter's rows come from."""

    chapter: str
    profile: str
    device: str
    parameters: dict[str, Any]
    differences: list[Differs]
    minute: list[Minute]
    panel: Panel | None
    page: str = ""


class PublishedLedger(_Strict):
    """All claims of a build of the book."""

    schema_version: Literal[1] = Field(alias="schema")
    book: str = Field(description="version of the book")
    commit: str
    date: str
    chapters: list[ChapterRun]
    claims: list[PublishedRow]


def check_row(row: object) -> None:
    """Raise a ValueError that says what is wrong with a row, if something is."""
    if not isinstance(row, Mapping):
        raise ValueError(f"a claim is {type(row).__name__}, not a mapping")
    _check(PublishedRow, dict(row), f"claim {row.get('id')!r}")


def check_run(run: object) -> None:
    """Raise a ValueError that says what is wrong with a run, if something is."""
    _check(ChapterRun, run, "its run")


def _check(form: type[BaseModel], content: object, name: str) -> None:
    try:
        form.model_validate(content)
    except ValidationError as error:
        known = list(form.model_fields)
        sentences = error_sentences(error, known, "field")
        raise ValueError(f"{name}: {sentences}") from None


def schema() -> str:
    """The JSON Schema of `ledger.json`."""
    made = PublishedLedger.model_json_schema(by_alias=True)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | made, indent=1) + "\n"


def to_json(
    rows: Sequence[Row], runs: Sequence[Mapping[str, Any]], **built: str
) -> str:
    """A build's rows as `ledger.json`; ``built`` names book, commit and date."""
    content = {"schema": SCHEMA_VERSION, **built, "chapters": [*runs]}
    content["claims"] = [*rows]
    PublishedLedger.model_validate(content)
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


_COLUMNS = (
    *("chapter", "id", "origin", "verdict", "estimate", "ci_low", "ci_high"),
    *("n", "missing", "direction", "threshold", "no_effect", "band"),
    *("p_bar", "holm", "share", "statistic", "quantity", "statement", "source"),
    *("paper", "profile", "device", "seconds", "rounding_decides", "why", "values"),
)


def to_csv(rows: Iterable[Row]) -> str:
    """A build's rows as a table: one line a claim, seeds' values joined by spaces."""
    out = io.StringIO()
    beside = ("printed", "control", "control_values")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS, *beside])
    for row in rows:
        printed, control = row["printed"], row["control"]
        cells = [row[name] for name in _COLUMNS]
        cells += [printed and printed["value"], control["estimate"], control["values"]]
        writer.writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join("nan" if x is None else str(x) for x in value)
    return "" if value is None else str(value)
