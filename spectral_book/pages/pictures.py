"""Pictures of the built pages: words for players, and smaller files."""

from __future__ import annotations

import io
from pathlib import Path

from docutils import nodes
from PIL import Image, ImageChops, ImageStat
from sphinx.application import Sphinx

from spectral_book.chapter.player import with_alt

MOST_LOSS = 3.0
"""Root mean square change, of 255 levels, that a smaller palette may bring."""


def name_players(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give players the ``alt`` of their cell's ``mystnb`` metadata, as figures have."""
    for cell in doctree.findall(nodes.container):
        metadata = cell.get("cell_metadata", {}).get("mystnb", {})
        alt = metadata.get("image", {}).get("alt")
        for part in list(cell.findall(nodes.raw)) if alt else []:
            html = with_alt(part.astext(), alt)
            if html != part.astext():
                part.parent.replace(part, nodes.raw("", html, format="html"))


def shrink_pictures(app: Sphinx, exception: Exception | None) -> None:
    """Give the pictures of a finished build a palette, where that hardly shows."""
    if exception is not None or app.builder.format != "html":
        return
    for path in sorted((Path(app.outdir) / app.builder.imagedir).glob("*.png")):
        data = path.read_bytes()
        smaller = with_palette(data)
        if smaller is not None and len(smaller) < len(data):
            path.write_bytes(smaller)


def with_palette(data: bytes) -> bytes | None:
    """Return a PNG file in 256 colours, or None if that changes it too much."""
    with Image.open(io.BytesIO(data)) as opened:
        # All levels of transparency but the last, which is none.
        seen_through = "A" in opened.mode and opened.getchannel("A").histogram()[:-1]
        if opened.mode == "P" or any(seen_through or ()):
            return None
        picture = opened.convert("RGB")
    small = picture.quantize(256, dither=Image.Dither.NONE)
    change = ImageChops.difference(picture, small.convert("RGB"))
    if max(ImageStat.Stat(change).rms) > MOST_LOSS:
        return None
    stream = io.BytesIO()
    small.save(stream, "png", optimize=True)
    return stream.getvalue()
