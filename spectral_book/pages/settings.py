"""What a build asks for before it begins: settings to trust, and its folder alone."""

from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock
from sphinx.config import Config
from sphinx.errors import ConfigError

from spectral_book.budget import Budget, resolve_budget
from spectral_book.files import lock
from spectral_lib.threads import usable_cores

DRAFT = "SPECTRAL_DRAFT"
"""Environment variable: the chapter to execute, for pages in a folder ``draft``."""


def checked_budget(config: Config, environ: Mapping[str, str]) -> Budget:
    """Return the budget for chapters, of settings with which no failure passes unseen.

    Raises
    ------
    ConfigError
        With a message that names the setting.
    """
    if "external_toc_path" not in config:
        raise ConfigError(
            "the book is built as a whole, as its pages belong together: jupyter-book "
            "build book/; for a draft of one chapter: make page "
            f"CHAPTER={config.master_doc}"
        )
    mode = config.nb_execution_mode
    if mode not in ("force", "off"):
        raise ConfigError(
            f'execute_notebooks must be "force" or "off", not {mode!r}: the others '
            "do not see that the library has changed"
        )
    if config.nb_execution_allow_errors:
        raise ConfigError(
            "allow_errors would hide a failing chapter; "
            "tag a cell with raises-exception where an error is meant"
        )
    if config.nb_execution_excludepatterns:
        raise ConfigError(
            "execute.exclude_patterns would show results of another time; "
            "leave the chapter out of the table of contents instead"
        )
    try:
        return resolve_budget(environ, usable_cores())
    except ValueError as error:
        raise ConfigError(str(error)) from error


def drafted_chapter(pages: Path, environ: Mapping[str, str]) -> str:
    """Return the name of the chapter that a draft executes, empty for a book.

    Raises
    ------
    ConfigError
        If a draft would take the place of the book.
    """
    name = environ.get(DRAFT, "")
    if name and "draft" not in pages.parts:
        raise ConfigError(
            f"{DRAFT} is set, but {pages} is no folder of drafts; unset it, or use "
            f"make page CHAPTER={name}"
        )
    return name


def lock_folder(folder: Path) -> FileLock:
    """Hold a folder for this process: two builds would mix their pages.

    Raises
    ------
    ConfigError
        If another build holds it; the message names its process.
    """
    try:
        return lock(folder)
    except BlockingIOError as holder:
        raise ConfigError(
            f"another build writes to {folder}: {holder}; wait until it ends, or end it"
        ) from None
