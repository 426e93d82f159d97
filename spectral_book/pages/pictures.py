"""Pictures of the built pages: a still for each player, and smaller files."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape, unescape
from pathlib import Path
from posixpath import relpath
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from PIL import Image, ImageChops, ImageStat
from sphinx.application import Sphinx

MOST_LOSS = 3.0
"""Root mean square change, of 255 levels, that a smaller palette may bring."""

_VIEW = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-view\+json">(.*)</script>', re.S
)
_CAPTION = re.compile(r'<p class="caption"[^>]*>(.*?)</p>', re.S)
_STATE = "ipywidgets_state"  # the name under which myst-nb keeps a page's widgets
_MODEL = "IPY_MODEL_"  # how a widget's state refers to another widget

State = Mapping[str, Mapping[str, Any]]


def add_stills(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the last frame of a player beside it: all a page without scripts can show.

    The picture's text is the ``alt`` of the cell's ``mystnb`` metadata, else the
    first sentence of its caption; the frames of the player get it as well.
    """
    if app.builder.format != "html":
        return
    state = _saved_state(app, docname)
    for cell in list(doctree.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code":
            continue
        for place in list(cell.findall(nodes.raw)):
            view = _VIEW.search(place.astext())
            frame = view and last_frame(state, json.loads(view[1])["model_id"])
            if frame:
                html = _with_still(app, docname, place.astext(), frame, _text(cell))
                place.parent.replace(place, nodes.raw("", html, format="html"))


def last_frame(state: State, model_id: str) -> bytes | None:
    """Return the last picture among a widget and those inside it, if there is one."""
    frames = list(_frames(state, model_id))
    return frames[-1] if frames else None


def _frames(state: State, model_id: str) -> Iterator[bytes]:
    """Give the pictures of a widget and of those inside it, in their order."""
    model = state.get(model_id, {})
    if model.get("model_name") == "ImageModel":
        for buffer in model.get("buffers", []):
            if buffer["path"] == ["value"]:
                yield b64decode(buffer["data"])
    for child in model.get("state", {}).get("children", []):
        yield from _frames(state, child.removeprefix(_MODEL))


def _saved_state(app: Sphinx, docname: str) -> State:
    """Return the states of a page's widgets by their names."""
    scripts = NbMetadataCollector.get_js_files(app.env, docname)  # type: ignore[arg-type]
    if _STATE not in scripts:
        return {}
    return json.loads(scripts[_STATE][1]["body"])["state"]


def _text(cell: nodes.Element) -> str:
    """Return what a cell's picture shows, in words."""
    metadata = cell.get("cell_metadata", {}).get("mystnb", {})
    alt = metadata.get("image", {}).get("alt")
    if alt:
        return alt
    for output in cell.findall(nodes.raw):
        caption = _CAPTION.search(output.astext())
        if caption:
            words = unescape(re.sub(r"<[^>]+>", "", caption[1])).split()
            sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", " ".join(words))
            numbered = len(sentences) > 1 and sentences[0].startswith("Figure")
            return " ".join(sentences[: 2 if numbered else 1])
    return "A figure in several frames."


def _with_still(app: Sphinx, docname: str, view: str, frame: bytes, text: str) -> str:
    """Return a player's HTML with its last frame, which is written to a file."""
    name = f"{app.builder.imagedir}/player-{sha256(frame).hexdigest()[:16]}.png"
    path = Path(app.outdir) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(frame)
    page = app.builder.get_target_uri(docname)
    source = relpath(name, page.rpartition("/")[0] or ".")
    return (
        f'<div class="player" data-alt="{escape(text)}"><img class="player-still" '
        f'src="{source}" alt="Last frame: {escape(text)}">{view}</div>'
    )


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
