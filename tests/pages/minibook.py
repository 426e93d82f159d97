"""Miniature books with the settings of the real one, built by the real command."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import yaml
from rows import published, row

REPOSITORY = Path(__file__).resolve().parents[2]
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90">
<circle cx="45" cy="45" r="40"/></svg>"""


@dataclass
class MiniBook:
    """A small book in a folder of its own, with the settings of the real one."""

    folder: Path
    pages: list[str] = field(default_factory=list)

    @property
    def html(self) -> Path:
        return self.folder / "_build" / "html"

    @property
    def executed(self) -> Path:
        return self.folder / "_build" / "executed"

    def add(
        self,
        name: str,
        *cells: str,
        tags: Mapping[int, list[str]] = {},
        alts: Mapping[int, str] = {},
    ) -> None:
        """Add a chapter: a title, then code cells (Markdown if they begin with #!).

        ``tags`` and ``alts``, the texts of pictures, go by the places of the cells. The
        claims of a cell of them get a claims file.
        """
        made = [nbformat.v4.new_markdown_cell(f"# Chapter {name}")]
        for place, text in enumerate(cells):
            source = textwrap.dedent(text).strip()
            if source.startswith("#!"):
                made.append(nbformat.v4.new_markdown_cell(source[2:].strip()))
            else:
                metadata: dict[str, Any] = {"tags": tags.get(place, [])}
                if place in alts:
                    metadata["mystnb"] = {"image": {"alt": alts[place]}}
                made.append(nbformat.v4.new_code_cell(source, metadata=metadata))
        for place, cell in enumerate(made):
            cell["id"] = f"cell-{place}"
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})
        self.write(name, notebook)
        rows = [row for cell in cells for row in getattr(cell, "rows", ())]
        if rows:
            self.write_claims(name, [row["id"] for row in rows])

    def write(self, name: str, notebook: nbformat.NotebookNode) -> None:
        nbformat.write(notebook, self.folder / f"{name}.ipynb")
        if name not in self.pages:
            self.pages.append(name)

    def write_claims(self, name: str, ids: Sequence[str]) -> None:
        """Write a claims file; of the claims nothing matters but the ids."""
        common = {
            **dict.fromkeys(("source", "statement", "quantity", "control"), "any"),
            **{"statistic": "value", "direction": "greater", "differs": ""},
            **{"threshold": 1.0, "no_effect": 0.0},
        }
        file = {"chapter": name, "paper": "", "frozen": "2026-01-01"}
        path = self.folder / "claims" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        claims = [{"id": one, **common} for one in ids]
        path.write_text(yaml.safe_dump({**file, "claims": claims}))

    def configure(self, intro: str = "", **execute: Any) -> None:
        """Write the front page, the table of contents and the real book's settings."""
        config = yaml.safe_load((REPOSITORY / "_config.yml").read_text())
        config["execute"] |= execute
        toc = {
            "format": "jb-book",
            "root": "intro",
            "chapters": [{"file": name} for name in self.pages],
        }
        (self.folder / "_config.yml").write_text(yaml.safe_dump(config))
        (self.folder / "_toc.yml").write_text(yaml.safe_dump(toc))
        (self.folder / "intro.md").write_text(f"# Mini book\n\n{intro}\n")
        (self.folder / config["logo"]).write_text(LOGO)
        for name in config["bibtex_bibfiles"]:
            (self.folder / name).touch()

    def command(self, *options: str) -> list[str]:
        program = [str(Path(sys.executable).with_name("jupyter-book")), "build"]
        return [*program, str(self.folder), *options]

    def build(
        self, *options: str, env: Mapping[str, str] = {}
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options),
            env=clean_environment() | dict(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def notebook(self, name: str) -> nbformat.NotebookNode:
        return nbformat.read(self.executed / f"{name}.ipynb", as_version=4)

    def printed(self, name: str) -> str:
        """Return what an executed chapter printed."""
        outputs = [
            output
            for cell in self.notebook(name).cells
            for output in cell.get("outputs", [])
        ]
        return "".join(output.get("text", "") for output in outputs)


def clean_environment() -> dict[str, str]:
    """Return this process's environment less what steers a build."""
    return {k: v for k, v in os.environ.items() if not k.startswith("SPECTRAL_")}


class ClaimCell(str):
    """Code that emits claims as a chapter does."""

    rows: tuple[Mapping[str, Any], ...]


def claim_cell(*claims: Mapping[str, Any]) -> ClaimCell:
    """Return code that emits claims as a chapter does."""
    cell = ClaimCell(f"""
from IPython.display import display
kind = "application/vnd.spectral-ledger+json"
display({{kind: {published(*claims)!r}, "text/plain": "the claims"}}, raw=True)
""")
    cell.rows = claims
    return cell


def claim(name: str, verdict: str = "replicated", **more: Any) -> dict[str, Any]:
    """Return a claim with everything a chapter gives."""
    return row(name, verdict, **{"chapter": name.split("-")[0], **more})


PICTURES = """
import struct, zlib

def picture(row):
    "A square of as many equal rows of greys as a row has pixels, as PNG."
    side = len(row)
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = (b"\\0" + row) * side
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\\x89PNG\\r\\n\\x1a\\n" + b"".join(chunk(*part) for part in parts)
"""

PLAYER = """
from IPython.display import HTML, display
from spectral_book.chapter.player import Choice, Player

frames = tuple(picture(bytes([10 * i]) * 40) for i in range(20))
epochs = Choice("epoch", tuple(f"{i} of 20" for i in range(1, 21)), 19)
display(HTML(Player(frames, (epochs,), interval=50).html("Greys & light.")))
display(HTML('<p class="caption"><b>Greys &amp; light.</b> From dark to light.</p>'))
"""

ANSWERS = """
shades = tuple(picture(bytes([40 * i]) * 40) for i in range(6))
height, level = Choice("height", ("1", "5"), 1), Choice("level <i>", ("a", "b", "c"), 0)
display(HTML(Player(shades, (height, level)).html("A shade.")))
"""
