"""What defines a run, as named strings: two runs with equal ones give equal numbers."""

import dataclasses
import functools
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spectral_lib.training.devices import device_name
from spectral_lib.training.ensemble import Ensemble

Fingerprint = dict[str, str]

COMPUTING = ("ensemble", "loop", "optimizers", "precision", "progress", "steps")
"""Modules of this package whose code is part of every run."""

DEEPEST = 20
"""Objects inside one another beyond which only types are named."""


def fingerprint(**parts: object) -> Fingerprint:
    """Named strings for everything that parts of a run (data, settings) consist of.

    That is: tensors by their content, each function's closure, each object's
    attributes; and the code of all modules met on the way and of functions typed into
    a notebook, of which comments and layout do not count. An object that keeps nothing
    in attributes counts by its type alone, an ensemble's module by its architecture.
    """
    found = _Collector()
    for name, part in parts.items():
        found.add(name, part)
    found.modules |= {f"{__package__}.{name}" for name in COMPUTING}
    codes = {f"code of {name}": code_digest(name) for name in sorted(found.modules)}
    return found.entries | {name: code for name, code in codes.items() if code}


def machine(device: torch.device) -> Fingerprint:
    """Versions, device and arithmetic: what decides how sums are rounded.

    Not what a run sets for itself, such as TF32 (`precision.float32_products`).
    """
    name = device_name(device)
    if device.type == "cpu":
        name = f"{name} {torch.backends.cpu.get_cpu_capability()}"
    return {
        "torch": str(torch.__version__),
        "python": "{}.{}".format(*sys.version_info),
        "device": name,
        "threads": str(torch.get_num_threads()),
        "autocast": str(torch.is_autocast_enabled(device.type)),
        "default dtype": str(torch.get_default_dtype()),
    }


def summary(found: Fingerprint) -> str:
    """Twelve digits that stand for all entries."""
    return _hash(json.dumps(found, sort_keys=True).encode())


def differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """One line for each entry that is not the same: its name, old and new value."""
    names = [*old, *(name for name in new if name not in old)]
    return [
        f"{name}: {old.get(name, 'absent')} then, {new.get(name, 'absent')} now"
        for name in names
        if old.get(name) != new.get(name)
    ]


def tensor_digest(tensor: Tensor) -> str:
    """Hash of a tensor's bytes, taken in parts to save memory."""
    found = hashlib.sha256()
    for part in tensor.detach().reshape(-1).split(1 << 22):
        found.update(part.cpu().contiguous().view(torch.uint8).numpy())
    return found.hexdigest()


def code_digest(module: str) -> str | None:
    """Hash of a module's code as its file now is, without comments and docstrings.

    None for modules of Python and PyTorch, whose versions say which code they are.
    """
    top = module.partition(".")[0]
    path = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    if top == "torch" or top in sys.stdlib_module_names or not path.is_file():
        return None
    return _file_digest(path, path.stat().st_mtime_ns)


@functools.lru_cache
def _file_digest(path: Path, changed: int) -> str:
    source = path.read_bytes()
    if path.suffix != ".py":
        return _hash(source)
    return _hash(_bytes_of(compile(source, path, "exec", optimize=2)))


class _Collector:
    """Entries of a fingerprint, and the modules whose code they come from."""

    def __init__(self) -> None:
        self.entries: Fingerprint = {}
        self.modules: set[str] = set()
        self.inside: list[int] = []

    def add(self, name: str, value: object) -> None:
        """Describe a value by one entry, or by one for each of its parts."""
        plain = _plain(value)
        if plain is not None:
            self.entries[name] = _short(plain)
        elif id(value) in self.inside or len(self.inside) > DEEPEST:
            self.entries[name] = f"a {type(value).__qualname__}"
        else:
            self.inside.append(id(value))
            for key, part in self._parts(name, value):
                self.add(f"{name}{key}", part)
            self.inside.pop()

    def add_architecture(self, name: str, module: nn.Module) -> None:
        """One entry for each part of a network: its class and settings, no weights."""
        for path, part in module.named_modules():
            settings = _Collector()
            settings.modules, settings.inside = self.modules, self.inside
            for key, value in vars(part).items():
                if not key.startswith("_"):
                    settings.add(key, value)
            text = ", ".join(f"{k}={v}" for k, v in settings.entries.items())
            at = f"{name}.{path}" if path else name
            self._identify(at, type(part))
            self.entries[at] = _short(f"{self.entries[at]}({text})")

    def _parts(self, name: str, value: Any) -> Iterable[tuple[str, object]]:
        if isinstance(value, Mapping):
            return [(f".{key}", part) for key, part in value.items()]
        if isinstance(value, (list, tuple)):
            return [(f"[{i}]", part) for i, part in enumerate(value)]
        if isinstance(value, Ensemble):
            self.add_architecture(f"{name}.module", value.module)
            kept = ("parameters", "buffers", "seeds", "stacked")
            return [(f".{key}", getattr(value, key)) for key in kept]
        if isinstance(value, nn.Module):
            self.add_architecture(name, value)
            return _dotted(value.state_dict())
        if isinstance(value, MethodType):
            return [(".function", value.__func__), (".self", value.__self__)]
        if isinstance(value, functools.partial):
            held = {"func": value.func, "args": value.args, "keywords": value.keywords}
            return _dotted(held)
        if hasattr(value, "__qualname__"):
            self._identify(name, value)
            return _dotted(_held(value)) if isinstance(value, FunctionType) else []
        self._identify(name, type(value))
        if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return [(f".{f.name}", getattr(value, f.name)) for f in fields]
        return _dotted(getattr(value, "__dict__", {}))

    def _identify(self, name: str, what: Any) -> None:
        """Name a function or class, with its code where it was typed, not imported."""
        self.entries[name] = f"{what.__module__}.{what.__qualname__}"
        bases = what.__mro__ if isinstance(what, type) else (what,)
        self.modules |= {base.__module__ for base in bases if not _is_typed(base)}
        for base in filter(_is_typed, bases):
            if isinstance(base, FunctionType):
                self.entries[name] += f" {_hash(_bytes_of(base.__code__))}"
                continue
            for key, part in vars(base).items():
                function = getattr(part, "__func__", getattr(part, "fget", part))
                if isinstance(function, FunctionType):
                    self.add(f"{name}.{key}", function)


def _held(function: FunctionType) -> dict[str, object]:
    """What a function uses besides arguments: closure, defaults, a notebook's names."""
    held: dict[str, object] = dict(function.__kwdefaults__ or {})
    if function.__defaults__:
        held["defaults"] = function.__defaults__
    if _is_typed(function):
        known = function.__globals__
        held |= {k: known[k] for k in _names(function.__code__) if k in known}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for key, cell in cells:
        try:
            held[key] = cell.cell_contents
        except ValueError:  # a name that has no value yet
            held[key] = None
    return held


def _is_typed(what: Any) -> bool:
    """Whether code was typed into a notebook or is the script that runs."""
    return getattr(what, "__module__", None) == "__main__"


def _names(code: CodeType) -> list[str]:
    """Global names that code uses, also in what is defined inside it."""
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return sorted({*code.co_names, *(n for c in inner for n in _names(c))})


def _bytes_of(code: CodeType) -> bytes:
    """What code does, without line numbers, comments and names of files."""

    def constant(value: object) -> str:
        if isinstance(value, CodeType):
            return _bytes_of(value).hex()
        if isinstance(value, frozenset):  # its order differs between processes
            return str(sorted(map(repr, value)))
        return repr(value)

    constants = [constant(value) for value in code.co_consts]
    return code.co_code + str([constants, code.co_names, code.co_varnames]).encode()


def _plain(value: object) -> str | None:
    """Text of a value without parts, or None."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return repr(value)
    if isinstance(value, (torch.dtype, torch.device, Path, range)):
        return str(value)
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        value = torch.from_numpy(np.array(value))
    if isinstance(value, torch.Generator):
        value = value.get_state()
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind} {list(value.shape)} {tensor_digest(value)[:12]}"
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = [_plain(part) for part in value]
        texts = [part for part in parts if part is not None]
        if len(texts) == len(parts):
            ordered = isinstance(value, (list, tuple))
            return f"[{', '.join(texts if ordered else sorted(texts, key=_by_size))}]"
    return None


def _short(text: str) -> str:
    """A text as it is, or its start and a hash."""
    return text if len(text) <= 160 else f"{text[:100]} ... {_hash(text.encode())}"


def _by_size(text: str) -> tuple[int, str]:
    """So that 9 comes before 10."""
    return len(text), text


def _dotted(held: Mapping[str, object]) -> list[tuple[str, object]]:
    return [(f".{key}", value) for key, value in held.items()]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
