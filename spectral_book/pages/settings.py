"""Settings under which a build can be trusted."""

from __future__ import annotations

from collections.abc import Mapping

from sphinx.config import Config
from sphinx.errors import ConfigError

from spectral_book.budget import Budget, resolve_budget
from spectral_lib.threads import usable_cores


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
        return resolve_budget(
            config.spectral_jobs, config.spectral_threads, environ, usable_cores()
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
