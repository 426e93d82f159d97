"""A draft of the book: one chapter executed, the others as they were last executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sphinx.errors import ConfigError

from spectral_book.runner import NotebookJob

VARIABLE = "SPECTRAL_DRAFT"
"""Environment variable: the chapter to execute, for pages in a folder ``draft``."""


def drafted_chapter(pages: Path, environ: Mapping[str, str]) -> str:
    """Return the name of the chapter that a draft executes, empty for a book.

    Raises
    ------
    ConfigError
        If a draft would take the place of the book.
    """
    name = environ.get(VARIABLE, "")
    if name and "draft" not in pages.parts:
        raise ConfigError(
            f"{VARIABLE} is set, but {pages} is no folder of drafts; unset it, or use "
            f"make page CHAPTER={name}"
        )
    return name


def last_executed(job: NotebookJob, builds: list[Path]) -> NotebookJob:
    """Return a chapter as the newest of some builds has executed it.

    Where none has, it stays as it is, without results.
    """
    files = [build / "executed" / f"{job.name}.ipynb" for build in builds]
    there = [file for file in files if file.is_file()]
    if not there:
        return job
    return replace(job, path=max(there, key=lambda file: file.stat().st_mtime))


def announcement(chapter: str) -> str:
    """Return what stands at the top of every page of a draft."""
    return (
        f"<strong>Draft.</strong> Only <em>{chapter}</em> was executed for these "
        "pages; other chapters are shown as they were last executed here, if they were."
    )
