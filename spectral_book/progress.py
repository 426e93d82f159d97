"""How far the running chapters are: a line for each, on a terminal alone."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

_LINE = "{desc}: cell {n_fmt} of {total_fmt}{postfix}"


class Progress:
    """The lines of the chapters that run, kept below what is printed meanwhile."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.bars: dict[str, tqdm] = {}

    def show(self, chapter: str, cell: int, cells: int, training: str) -> None:
        """Show which cell of a chapter runs, and how far its training is."""
        if chapter not in self.bars:
            self.bars[chapter] = tqdm(
                total=cells,
                initial=cell,
                desc=f"  {chapter}",
                bar_format=_LINE,
                leave=False,
                file=self.stream,
                disable=None,  # off where the stream is no terminal
            )
        bar = self.bars[chapter]
        bar.n = cell
        bar.set_postfix_str(training)

    @contextmanager
    def end(self, chapter: str) -> Iterator[None]:
        """Take a chapter's line away, and keep off the others' for what is printed."""
        bar = self.bars.pop(chapter, None)
        if bar is not None:
            bar.close()
        with tqdm.external_write_mode(self.stream):
            yield
