"""Typed chapter parameters, checked before any training starts.

A chapter's first code cell assigns literals (the tagged ``parameters`` cell) and
papermill may add a second one. The next cell declares the types and calls
:meth:`ChapterParameters.read`.
"""

import ast
import difflib
import itertools
import symtable
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import nbformat
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
)

from spectral_book.claims.claims_file import Profile
from spectral_book.readable import error_sentences


class ParameterError(ValueError):
    """A chapter was given parameters it cannot run with."""

    def _render_traceback_(self) -> list[str]:
        """Show the sentences alone in Jupyter; the traceback would bury them."""
        return [f"ParameterError: {self}"]


def _unique(values: list[int]) -> list[int]:
    if len(set(values)) < len(values):
        raise ValueError("holds a value twice; give each value once")
    return values


def _rising(values: list[Any]) -> list[Any]:
    if any(a >= b for a, b in zip(values, values[1:], strict=False)):
        raise ValueError("must rise from each value to the next")
    return values


def _range(values: list[int]) -> list[int]:
    lowest, highest = values
    if not 1 <= lowest <= highest:
        raise ValueError("must be [lowest, highest] with 1 <= lowest <= highest")
    return values


def _kernel(size: int) -> int:
    if size < 3 or size % 2 == 0:
        raise ValueError("must be an odd number, 3 or larger")
    return size


def _device(name: str) -> str:
    # torch takes seconds to import; a check of names and types should not wait for it.
    from spectral_lib.training.devices import resolve_device

    resolve_device(name)
    return name


def _precision(name: str, info: ValidationInfo) -> str:
    if name != "float32" and "device" in info.data:
        import torch

        from spectral_lib.training.devices import check_precision, resolve_device

        device = resolve_device(info.data["device"])
        check_precision(name, device, torch.float32)  # type: ignore[arg-type]
    return name


Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(_unique)]
Rising = Annotated[list[Count], Field(min_length=2), AfterValidator(_rising)]
RisingRates = Annotated[list[Positive], Field(min_length=2), AfterValidator(_rising)]
Range = Annotated[list[int], Field(min_length=2, max_length=2), AfterValidator(_range)]
Kernel = Annotated[int, AfterValidator(_kernel)]
RisingKernels = Annotated[list[Kernel], Field(min_length=2), AfterValidator(_rising)]
Even = Annotated[int, Field(ge=2, multiple_of=2)]
RisingEven = Annotated[list[Even], Field(min_length=2), AfterValidator(_rising)]
Device = Annotated[str, AfterValidator(_device)]
Precision = Annotated[Literal["float32", "tf32", "bf16"], AfterValidator(_precision)]
"""Of a chapter's networks in training (`training.devices`); not its equations."""


MACHINE = ("data_root", "device")
"""Parameters that say where a chapter runs, not what it computes.

Precision, and whether a device may sum in another order, are not among them: both show
in the numbers, so a record holds them and a changed one is said under each figure.
"""


BARE: Mapping[Any, Any] = {
    int: Count,
    float: Positive,
    list[int]: Annotated[list[Count], Field(min_length=1)],
    list[float]: Annotated[list[Positive], Field(min_length=1)],
    list[str]: Annotated[list[str], Field(min_length=1)],
}
"""What a bare annotation of a parameters cell means: numbers above 0, lists not empty.

A chapter's class names what allows more or less than that.
"""


class ChapterParameters(BaseModel):
    """What every chapter takes; a chapter adds combinations and its unusual fields.

    A parameter that the class does not name has the type its parameters cell gives it,
    see `BARE`. Numbers are finite.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )

    profile: Profile
    seeds: Seeds
    device: Device

    @classmethod
    def read(cls, namespace: Mapping[str, Any]) -> Self:
        """Check the parameters assigned in a notebook and return them, frozen.

        ``namespace`` is the notebook's ``globals()``. ParameterError if a name is
        unknown or missing, a type is wrong or a value impossible.
        """
        whole = cls.completed(namespace)
        names = [*whole.model_fields, *assigned(namespace)]
        return whole.check({n: namespace[n] for n in names if n in namespace})

    @classmethod
    def completed(cls, namespace: Mapping[str, Any]) -> type[Self]:
        """Add the fields that a namespace annotates and the class does not name."""
        annotate = namespace.get("__annotate__")  # of Python 3.14 and newer
        found = annotate(1) if annotate else namespace.get("__annotations__", {})
        missing = [name for name in cls.model_fields if name not in namespace]
        # A name like one that is missing is that one, misspelt.
        added: dict[str, Any] = {
            name: (BARE.get(kind, kind), ...)
            for name, kind in found.items()
            if name not in cls.model_fields
            and not difflib.get_close_matches(name, missing)
        }
        return create_model(cls.__name__, __base__=cls, **added)

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Self:
        """Check a mapping of parameters and return them, frozen."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            known = list(cls.model_fields)
            raise ParameterError(error_sentences(error, known, "parameter")) from None


def assigned(namespace: Mapping[str, Any]) -> list[str]:
    """Names that the parameter cells just run in a notebook have assigned.

    These are the last cell that assigns ``profile``, and those directly before the
    calling one that only assign; so a corrected cell can be run again in a living
    kernel. nbval keeps no history, and gives no parameters that could be misspelt.
    """
    cells = [cell for cell in namespace.get("In", []) if cell][-2::-1]
    stated = (cell for cell in cells if "profile" in _names(cell))
    block = (*itertools.takewhile(_only_assigns, cells), next(stated, ""))
    return list(dict.fromkeys(name for cell in block for name in _names(cell)))


def _names(cell: str) -> list[str]:
    """Names that a cell assigns, whatever it assigns to them and where."""
    try:
        symbols = symtable.symtable(cell, "cell", "exec").get_symbols()
    except SyntaxError:
        return []
    assigned = [s for s in symbols if s.is_assigned() and not s.is_imported()]
    return [s.get_name() for s in assigned if not s.is_namespace()]


def _only_assigns(cell: str) -> bool:
    try:
        statements = ast.parse(cell).body
    except SyntaxError:  # a magic or a shell line
        return False
    kinds = (ast.Assign, ast.AnnAssign, ast.AugAssign)
    return all(isinstance(statement, kinds) for statement in statements)


def defaults(notebook: Path) -> dict[str, Any]:
    """What the tagged parameters cell of a notebook file assigns."""
    return literals(parameters_cell(notebook.read_text("utf-8")))


def literals(source: str) -> dict[str, Any]:
    """What a cell assigns, if it assigns literals to names and nothing else."""
    try:
        values = assignments(source)
        return {name: ast.literal_eval(value) for name, value in values.items()}
    except ValueError:
        return {}


def assignments(source: str) -> dict[str, ast.expr]:
    """What a cell assigns as it is written, if it assigns to names and nothing else."""
    found: dict[str, ast.expr] = {}
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic or a shell line
        return {}
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = value
            case _:
                return {}
    return found


def parameters_cell(text: str) -> str:
    """The source of a notebook's tagged parameters cell; empty if it has none."""
    for cell in nbformat.reads(text, as_version=4).cells:
        if "parameters" in cell.metadata.get("tags", []):
            return cell.source
    return ""
