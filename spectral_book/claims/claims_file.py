"""Claims as data: what a claims file says."""

import difflib
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from spectral_book.claims.scales import CORRELATIONS, LOGARITHMS
from spectral_book.claims.sentences import check_sentence
from spectral_book.claims.statistics import STATISTICS
from spectral_book.readable import error_sentences, unknown_name
from spectral_book.yaml_files import read_yaml

Profile = Literal["quick", "desk", "gpu", "paper"]
"""Sizes of runs, rising: minutes, two hours on two cores, a GPU's hours, a paper's."""

PROFILES: tuple[Profile, ...] = get_args(Profile)

Failed = Literal["not replicated", "weaker than claimed", "inconclusive"]
"""Verdicts for which a claim may say what the run gave instead."""


_NUMBERS = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Printed(BaseModel):
    """The number that a paper prints for a claim's statistic, and where.

    ``spread`` is as printed; ``where`` says "read off by eye" of a curve.
    """

    model_config = _NUMBERS

    value: float
    spread: float | None = None
    where: str


class Condition(BaseModel):
    """What has to hold for a claim to be tested: a quantity above or below a number."""

    model_config = _NUMBERS

    quantity: str
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("a precondition names one of above and below.")
        return self


class Claim(BaseModel):
    """One claim, its statistic and what counts as replicating it.

    ``direction`` is ``greater`` or ``less`` with a ``threshold`` (the smallest effect
    that counts) and the value of ``no_effect``; or ``within`` with a ``band``, the
    claim that there is *no* effect larger than the band. ``interval`` is ``t`` over
    seeds; or ``range`` for exact numbers, where the values are all entries of a table
    and not a sample: then every entry has to clear the threshold.
    ``bounds`` are those of the statistic, where its name does not tell them: [0, 1] for
    a share, [-1, 1] for a correlation.
    ``late`` tells what was set after a run had been seen.
    ``otherwise`` is what readers are told in place of the statement if the claim is not
    replicated: a sentence that is true whether nothing or too little of it was there,
    or one for each verdict. In braces stand numbers of the run, by the names of
    :data:`spectral_book.claims.sentences.FIELDS`.
    ``differs`` says in what the run differs from the paper's beyond its parameters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    source: str
    origin: Literal["paper", "book"] = "paper"
    statement: str
    statistic: str
    quantity: str
    direction: Literal["greater", "less", "within"]
    threshold: float | None = None
    no_effect: float | None = None
    band: tuple[float, float] | None = None
    interval: Literal["t", "range"] = "t"
    bounds: tuple[float, float] | None = None
    late: Literal["bar", "no-effect value"] | None = None
    printed: Printed | None = None
    precondition: Condition | None = None
    control: str
    otherwise: dict[Failed, str] = {}
    differs: str = ""

    @field_validator("otherwise", mode="before")
    @classmethod
    def _by_verdict(cls, given: Any) -> Any:
        if isinstance(given, str):
            return dict.fromkeys(("not replicated", "weaker than claimed"), given)
        return given

    @field_validator("otherwise")
    @classmethod
    def _filled_in(cls, sentences: dict[Failed, str]) -> dict[Failed, str]:
        for sentence in sentences.values():
            check_sentence(sentence)
        return sentences

    @field_validator("statistic")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in STATISTICS:
            close = difflib.get_close_matches(name, STATISTICS, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ValueError(
                f"statistic {name!r} is unknown; {hint}known are "
                f"{', '.join(STATISTICS)}."
            )
        return name

    @model_validator(mode="after")
    def _complete(self) -> Self:
        side = 1 if self.direction == "greater" else -1
        if self.direction == "within":
            if self.band is None or self.band[0] >= self.band[1]:
                raise ValueError("direction 'within' needs a band [low, high].")
            if self.threshold is not None or self.no_effect is not None:
                raise ValueError("direction 'within' takes a band and nothing else.")
        elif self.band is not None:
            raise ValueError(f"direction {self.direction!r} takes no band.")
        elif self.threshold is None or self.no_effect is None:
            raise ValueError(
                f"direction {self.direction!r} needs threshold and no_effect."
            )
        elif side * (self.threshold - self.no_effect) <= 0:
            raise ValueError("the threshold lies on the wrong side of no_effect.")
        self._on_scale()
        for sentence in self.otherwise.values():
            kind = "band_" if self.band is None else "threshold"
            if f"{{{kind}" in sentence:
                raise ValueError(
                    f"otherwise names {{{kind}...}}, which a claim of direction "
                    f"{self.direction!r} has not."
                )
        return self

    def _on_scale(self) -> None:
        """Refuse bars that the statistic cannot reach."""
        low, high = self.bounds or (-math.inf, math.inf)
        if self.statistic in CORRELATIONS:
            low, high = -1.0, 1.0
        elif self.statistic in LOGARITHMS:
            low = math.ulp(0.0)
        if low >= high:
            raise ValueError("bounds are [low, high].")
        for mark in (self.threshold, self.no_effect, *(self.band or ())):
            if mark is not None and not low <= mark <= high:
                raise ValueError(
                    f"{mark:g} cannot be reached: {self.statistic!r} lies between "
                    f"{low:g} and {high:g}."
                )


class MinuteLine(BaseModel):
    """A line of *In one minute*: what a paper says and what we measured.

    ``measured`` names claims by id in braces, as sentences do; ``claim`` is the one
    whose verdict stands beside it. What a paper says of two things at once is quoted in
    two lines that follow each other, a verdict each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    says: str
    measured: str
    claim: str


class PanelTitle(BaseModel):
    """What the front page writes over a chapter's curve, by the verdict of a claim."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str
    held: str
    otherwise: str
    about: str


class ClaimsFile(BaseModel):
    """All claims of a chapter, frozen before the run.

    ``question`` is what the chapter asks, in one sentence for the front page, and
    ``citation`` the paper's key in the bibliography. ``minute`` is the answer to three
    to five sentences, for the head of the page, ``panel`` the title of the chapter's
    curve on the front page. ``leaves`` are the chapter's takeaways, sentences with
    claims by id and numbers by name in braces.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chapter: str
    paper: str
    question: str = ""
    citation: str = ""
    frozen: str
    minute: tuple[MinuteLine, ...] = ()
    panel: PanelTitle | None = None
    leaves: tuple[str, ...] = ()
    claims: tuple[Claim, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) < len(ids):
            raise ValueError("two claims share an id.")
        named = [line.claim for line in self.minute]
        named += [] if self.panel is None else [self.panel.claim]
        for name in named:
            if name not in ids:
                raise ValueError(unknown_name(name, ids, "claim"))
        return self


def load_claims(path: Path | str) -> ClaimsFile:
    """Read a claims file.

    Raises
    ------
    ValueError
        If the file is not there or not as :class:`Claim` describes, naming it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"There is no claims file {path}.")
    raw = read_yaml(path)
    try:
        return ClaimsFile.model_validate(raw)
    except ValidationError as error:
        known = [*ClaimsFile.model_fields, *Claim.model_fields]
        problems = error_sentences(error, known, "field", partial(_where, raw))
        raise ValueError(f"The claims file {path} is not valid: {problems}") from None


def _where(raw: Any, place: Sequence[int | str]) -> str:
    """Where an error is, with the claim's id in place of its number."""
    match list(place):
        case ["claims", int(i), *rest]:
            claim = raw["claims"][i]
            name = claim.get("id", i) if isinstance(claim, dict) else i
            place = [f"claim {name!r}", *rest]
    return ", ".join(map(str, place))
