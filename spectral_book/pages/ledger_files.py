"""The files with all claims that a finished build leaves beside its pages."""

from datetime import UTC, datetime
from pathlib import Path

from spectral_book import __version__
from spectral_book.claims import published
from spectral_book.claims.ledger import Ledger
from spectral_book.files import write_atomic
from spectral_book.repository import checkout

LEDGER_FILES = ("ledger.json", "ledger.csv", "ledger.schema.json")
"""Rows with all they rest on, the same as a table, and the form of the first."""


def write_ledger(folder: Path, ledger: Ledger, root: Path) -> None:
    """Write `LEDGER_FILES` for the claims of a build of the repository ``root``.

    Raises
    ------
    ValueError
        If a run or a row is not of the published form; nothing is written then.
    """
    texts = (
        published.to_json(
            ledger.claims,
            ledger.runs,
            book=__version__,
            commit=_commit(root),
            date=datetime.now(UTC).date().isoformat(),
        ),
        published.to_csv(ledger.claims),
        published.schema(),
    )
    for name, text in zip(LEDGER_FILES, texts, strict=True):
        write_atomic(folder / name, text)


def _commit(root: Path) -> str:
    """The commit of a repository, with + where its code was changed."""
    try:
        commit, changed = checkout(root)
    except ValueError:
        return "not under version control"
    return commit + ("+" if changed else "")
