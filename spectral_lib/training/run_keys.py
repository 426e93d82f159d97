"""What defines a run, as named strings: two runs with equal ones give equal numbers."""

import copyreg
import dataclasses
import dis
import hashlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import torch
from torch import Tensor, nn

from spectral_lib.code_hash import code_hash
from spectral_lib.data.dataset import Dataset
from spectral_lib.training.devices import device_name
from spectral_lib.training.ensemble import Ensemble
from spectral_lib.training.settings import Probe, TrainSettings

Key = dict[str, str]

IMPORTED = code_hash()
"""The library's code when this process imported it: later edits do not run here."""

PLAIN = (type(None), bool, int, float, complex, str)
"""Types whose repr is their value."""

LONGEST = 60
"""Characters of a text above which a hash stands for it."""


def run_key(
    ensemble: Ensemble,
    settings: TrainSettings,
    sets: Sequence[Dataset],
    probes: Mapping[str, Probe],
) -> Key:
    """Named strings for everything that decides a run's numbers.

    That is: settings, data, weights and seeds; all code of the library, torch's
    version, device and threads; and what was handed in (losses, probes, augmentations,
    networks), as `describe` says.

    Raises
    ------
    ValueError
        If something was handed in of which nothing says whether it is the same in
        another process.
    """
    now, device = code_hash(), ensemble.device
    name = device_name(device)
    if device.type == "cpu":
        name = f"{name} {torch.backends.cpu.get_cpu_capability()}"
    parts: dict[str, object] = {
        "code": IMPORTED if now == IMPORTED else f"{IMPORTED}, edited since to {now}",
        "torch": str(torch.__version__),
        "device": name,
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "network": _architecture(ensemble.module),
        "weights": [ensemble.parameters, ensemble.buffers],
        "seeds": ensemble.seeds,
        "stacked": ensemble.stacked,
        "data": [[s.inputs, s.targets] for s in sets],
        **{f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)},
        **{f"probe {name!r}": probe for name, probe in probes.items()},
    }
    return {name: _short(describe(part, name)) for name, part in parts.items()}


def summary(key: Key) -> str:
    """Twelve hex digits that stand for all entries."""
    return _hash(repr(sorted(key.items())).encode())


def differences(old: Key, new: Key) -> list[str]:
    """One line for each entry that is not the same: its name, old and new value."""
    names = [*old, *(name for name in new if name not in old)]
    return [
        f"{name}: {old.get(name, 'absent')} then, {new.get(name, 'absent')} now"
        for name in names
        if old.get(name) != new.get(name)
    ]


def tensor_digest(tensor: Tensor) -> str:
    """Hash of a tensor's type, shape and bytes, taken in parts to save memory."""
    found = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)}".encode())
    for part in tensor.detach().reshape(-1).split(1 << 22):
        found.update(part.cpu().contiguous().view(torch.uint8).numpy())
    return found.hexdigest()


def describe(value: object, where: str, inside: tuple[int, ...] = ()) -> str:
    """A text that is the same for equal values, in this and in every other process.

    Tensors count by their bytes, objects by what pickle would store of them. Functions
    count by name, defaults and the values they close over; those that are neither of
    this library nor of an installed package by their source, too, and by the global
    values that they use. ``where`` names the value in an error, ``inside`` holds the
    objects around it.

    Raises
    ------
    ValueError
        If a value has no such text: a file, a generator, a function without source.
    """
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, torch.Generator):
        value = value.get_state()
    if isinstance(value, Tensor):
        return f"tensor {tensor_digest(value)}"
    if isinstance(value, bytes):
        return f"bytes {_hash(value)}"
    if id(value) in inside:
        return f"the object {len(inside) - inside.index(id(value))} levels above"
    deeper = *inside, id(value)
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(describe(v, where, deeper) for v in value))}}}"
    parts = _parts(value, where)
    texts = [f"{k}={describe(v, f'{where}, {k}', deeper)}" for k, v in parts.items()]
    return f"{type(value).__qualname__}({', '.join(texts)})"


def _parts(value: object, where: str) -> Mapping[str, object]:
    """What a value consists of, by name."""
    if isinstance(value, Mapping):
        return {repr(name): part for name, part in value.items()}
    if isinstance(value, list | tuple):
        return {str(i): part for i, part in enumerate(value)}
    if isinstance(value, FunctionType):
        return _function(value, where)
    if isinstance(value, type):
        return _class(value)
    if isinstance(value, ModuleType):
        installed = _is_installed(value.__name__)
        source = "installed" if installed else _source(value, where)
        return {"name": value.__name__, "source": source}
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        stored = reduce(value) if reduce else value.__reduce_ex__(2)
    except TypeError as problem:
        raise ValueError(
            f"{where}: nothing says whether a {type(value).__qualname__} is the same "
            "in another process, so this run can have no checkpoint; hand in numbers, "
            "tensors and functions, or train without checkpoints."
        ) from problem
    return {"stored": [*stored] if isinstance(stored, tuple) else stored}


def _architecture(module: nn.Module) -> dict[str, object]:
    """Each part of a network: its class and settings, without weights."""
    common = vars(nn.Module()).keys() - {"training"}
    return {
        name: [type(part), {k: v for k, v in vars(part).items() if k not in common}]
        for name, part in module.named_modules()
    }


def _function(function: FunctionType, where: str) -> dict[str, object]:
    code = function.__code__
    closure: dict[str, object] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            closure[name] = cell.cell_contents
        except ValueError:  # a name that has no value yet
            closure[name] = None
    parts: dict[str, object] = {
        "name": f"{function.__module__}.{function.__qualname__}",
        "defaults": [function.__defaults__, function.__kwdefaults__],
        "closure": closure,
    }
    if not _is_installed(function.__module__):
        # Columns tell apart two functions on one line, which share their source.
        columns = str([column for _, _, column, _ in code.co_positions()])
        parts["source"] = [_source(code, where), columns]
        parts["globals"] = _globals(code, function.__globals__)
    return parts


def _class(kind: type) -> dict[str, object]:
    """Name, and methods and plain values of it and its bases that are not installed.

    Methods that a decorator made (`dataclasses`) follow from the rest.
    """
    parts: dict[str, object] = {"name": f"{kind.__module__}.{kind.__qualname__}"}
    for base in kind.__mro__:
        if _is_installed(base.__module__):
            continue
        for name, part in vars(base).items():
            part = getattr(part, "__func__", getattr(part, "fget", part))
            code = getattr(inspect.unwrap(part), "__code__", None)  # type: ignore[arg-type]
            written = isinstance(code, CodeType) and code.co_filename != "<string>"
            if written or (isinstance(part, PLAIN) and name != "__module__"):
                parts[f"{base.__qualname__}.{name}"] = part
    return parts


def _source(thing: ModuleType | CodeType, where: str) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError) as problem:
        raise ValueError(
            f"{where}: its source cannot be read ({problem}), so nothing says whether "
            "it is the same in another process; write it into a cell or a file, or "
            "train without checkpoints."
        ) from problem


def _globals(code: CodeType, known: Mapping[str, object]) -> dict[str, object]:
    """Global values that code uses, also in what is defined inside it, by name.

    Of ``chapter.device`` the attribute counts, not all that a chapter holds.
    """
    found: dict[str, object] = {}
    steps = [*dis.get_instructions(code)]
    for step, after in pairwise(steps):
        if step.opname == "LOAD_GLOBAL" and step.argval in known:
            name, value = step.argval, known[step.argval]
            if after.opname == "LOAD_ATTR":
                name, value = f"{name}.{after.argval}", getattr(value, after.argval)
            found[name] = value
    for part in code.co_consts:
        if isinstance(part, CodeType):
            found |= _globals(part, known)
    return found


def _is_installed(module: str | None) -> bool:
    """Whether code belongs to Python, this library or an installed package."""
    top = (module or "builtins").partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    known = top in sys.stdlib_module_names or top == "spectral_lib"
    return known or not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else _hash(text.encode())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
