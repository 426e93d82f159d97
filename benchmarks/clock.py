"""A clock inside a chapter's kernel: what its time is spent on.

IPython starts it before the first cell (see `startup_folder`), so that the chapter
itself is executed as it is. It hears of cells from IPython's events, of imports from
Python, and wraps the training loop once that is imported. Each moment belongs to the
innermost of these; an import within a training counts as an import.
"""

import builtins
import functools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

LOOP = "spectral_lib.training.loop"
ROOT = Path(__file__).resolve().parents[1]


def startup_folder(folder: Path, call: str) -> dict[str, str]:
    """Variables with which new kernels make a call, such as ``clock.start('/tmp')``.

    The call is to a module of this package, and is made before the first cell.
    """
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    module = call.split(".")[0]
    lines = [
        "import sys",
        f"sys.path.append({str(ROOT)!r})",
        f"from benchmarks import {module}",
        f"{call}",
    ]
    (startup / "00-benchmarks.py").write_text("\n".join(lines) + "\n", "utf-8")
    return {"SPECTRAL_IPYTHONDIR": str(folder)}


class Clock:
    """Seconds by kind, of one thread; kinds are entered and left."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self.kinds = ["between cells"]
        self.last = time.perf_counter()
        self.thread = threading.get_ident()

    def enter(self, kind: str) -> None:
        """From now on time belongs to a kind."""
        if threading.get_ident() == self.thread:
            self._count()
            self.kinds.append(kind)

    def leave(self) -> None:
        """Time belongs to what it belonged to before."""
        if threading.get_ident() == self.thread:
            self._count()
            self.kinds.pop()

    def wrap(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose time belongs to a kind."""

        @functools.wraps(function)
        def within(*arguments: Any, **named: Any) -> Any:
            self.enter(kind)
            try:
                return function(*arguments, **named)
            finally:
                self.leave()

        return within

    def _count(self) -> None:
        now = time.perf_counter()
        self.spent[self.kinds[-1]] += now - self.last
        self.last = now


def when_imported(change: Callable[[Any], None], clock: Clock | None = None) -> None:
    """Change the training loop's module when it has been imported; time imports."""
    plain, pending = builtins.__import__, [change]

    def watched(*arguments: Any, **named: Any) -> Any:
        found = plain(*arguments, **named)
        module = sys.modules.get(LOOP)
        if pending and module is not None and hasattr(module, "train"):
            pending.pop()(module)
        return found

    builtins.__import__ = watched if clock is None else clock.wrap("imports", watched)


def chapter_name() -> str | None:
    """Name of the chapter that runs in this kernel, once it is open."""
    from IPython import get_ipython

    chapter = get_ipython().user_ns.get("chapter")
    return getattr(getattr(chapter, "provenance", None), "chapter", None)


def start(folder: str) -> None:
    """Start a clock in this kernel; after each cell it leaves its state in a folder."""
    import psutil
    from IPython import get_ipython

    from spectral_book.files import write_atomic

    process = psutil.Process()
    until_cells = time.time() - process.create_time()
    clock = Clock()

    def time_training(module: Any) -> None:
        module.train = clock.wrap("training", module.train)

    def write(_: object) -> None:
        clock.leave()
        state = {**clock.spent, "kernel": until_cells, "chapter": chapter_name()}
        # Others read the folder at any time.
        write_atomic(Path(folder, f"{process.pid}.json"), json.dumps(state))

    when_imported(time_training, clock)
    events = get_ipython().events
    events.register("pre_run_cell", lambda _: clock.enter("other cells"))
    events.register("post_run_cell", write)
