"""Hand points to an engine, a few at a time, and note how each ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait

from spectral_book.sweeps.engines import Engine
from spectral_book.sweeps.errors import EngineLost, StorageError
from spectral_book.sweeps.manifest import Manifest, Outcome
from spectral_book.sweeps.pool import Job
from spectral_book.sweeps.sweep import Point
from spectral_book.sweeps.validation import asks_gpu


def run_points(
    engine: Engine, job: Job, points: Sequence[Point], manifest: Manifest
) -> Iterator[Outcome]:
    """Run points, note how each ended, and yield it.

    Raises
    ------
    StorageError
        As soon as a result or the manifest cannot be written.
    EngineLost
        If the engine gave points back because its scheduler is gone.
    """
    waiting = iter(points)
    running: set[Future[Outcome]] = set()
    names: dict[Future[Outcome], str] = {}

    def fill() -> None:
        for point in waiting:
            manifest.submit(point.id)
            future = engine.submit(job, point, gpu=asks_gpu(point))
            running.add(future)
            names[future] = point.id
            if len(running) >= engine.window:
                break

    try:
        fill()
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                running.remove(future)
                outcome = _outcome(future, names.pop(future))
                if outcome.state == "unstored":
                    raise StorageError(outcome.error)
                manifest.conclude(outcome)
                yield outcome
            if len(running) < engine.window:
                fill()
    except BaseException:
        engine.abort()
        raise


def _outcome(future: Future[Outcome], name: str) -> Outcome:
    """Return how a point ended."""
    try:
        return future.result()
    except CancelledError as error:
        raise EngineLost(
            "the scheduler is gone, and with it what was running; start it again and "
            "run the same command: what is done will not be repeated"
        ) from error
    except Exception as error:
        # Dask gives up on a point after several workers have died of it.
        message = f"{type(error).__name__}: {error}"
        return Outcome(name, "failed", 0.0, "", "", 0, message)
