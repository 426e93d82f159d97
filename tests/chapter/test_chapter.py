"""A chapter's experiment: a panel where there is a reader, else a still figure."""

from pathlib import Path
from types import SimpleNamespace

import ipywidgets as widgets
import matplotlib.pyplot as plt
import pytest
import torch

from spectral_book.chapter import chapter as module
from spectral_book.chapter import try_it as live
from spectral_book.chapter.chapter import Chapter
from spectral_book.chapter.provenance import provenance
from spectral_book.claims.claims_file import load_claims

CLAIMS = Path(__file__).parents[2] / "book" / "claims" / "instabilities.yaml"


@pytest.fixture
def chapter():
    device = torch.device("cpu")
    claims = load_claims(CLAIMS)
    return Chapter(
        claims, "quick", device, provenance("instabilities", "quick", [1], device, {})
    )


@pytest.fixture
def shown(monkeypatch):
    """What a chapter displays, in order."""
    found = []
    monkeypatch.setattr(module, "display", lambda thing, **_: found.append(thing))
    return found


@pytest.fixture
def drawn(monkeypatch):
    """The figures that a chapter draws."""
    found = []

    def picture(figure):
        found.append(figure)
        return draw(figure)

    draw = module.picture
    monkeypatch.setattr(module, "picture", picture)
    return found


def lines(height):
    """Lines
    of rising height."""
    for y in range(height + 1):
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.axhline(y)
        yield figure


def test_a_still_page_says_how_to_make_it_live_and_shows_the_end(chapter, shown, drawn):
    control = widgets.IntSlider(2, 0, 5, description="height")
    open_before = plt.get_fignums()
    chapter.try_it(lines, height=control)
    said, figure, caption = shown
    assert "`make lab`" in said.data
    assert "`instabilities.ipynb`" in said.data
    assert "height = 2" in said.data
    assert figure.data.startswith(b"\x89PNG")
    assert drawn[-1].axes[0].lines[0].get_ydata()[0] == 2
    assert "<b>Try it.</b> Lines of rising height." in caption.data
    assert "profile quick" in caption.data
    assert "seeds" not in caption.data
    assert plt.get_fignums() == open_before


def test_a_reader_gets_the_controls_with_the_same_caption(chapter, shown, monkeypatch):
    box = widgets.VBox()
    made = []

    class Panel:
        def __init__(self, run, controls):
            made.append((run, controls))
            self.box = box

        def close(self):
            made.append("closed")

    monkeypatch.setattr(live, "is_live", lambda: True)
    monkeypatch.setattr(live, "Panel", Panel)
    control = widgets.IntSlider(2, 0, 5)
    chapter.try_it(lines, height=control)
    assert made == [(lines, {"height": control})]
    assert shown[0] is box
    assert "<b>Try it.</b> Lines of rising height." in shown[1].data
    chapter.try_it(lines, height=control)
    assert made[1:] == ["closed", (lines, {"height": control})]


def test_the_line_under_a_figure_names_the_seeds_of_its_runs(chapter, shown):
    def run(*seeds):
        ensemble = SimpleNamespace(seeds=seeds) if seeds else None
        return SimpleNamespace(seconds=1.0, ensemble=ensemble)

    chapter.show(plt.figure(), "", (r for r in [run(101), run(1, 2, 3)]))
    assert "seeds 1 to 3, 101 ·" in shown[-1].data
    assert "2 s ·" in shown[-1].data
    for untold in ([run()], [run(7), run()], []):
        chapter.show(plt.figure(), "", untold)
        assert "seed 1 ·" in shown[-1].data
    chapter.show(plt.figure(), "", [run(7)], seeds=[8])
    assert "seed 8 ·" in shown[-1].data


def test_a_control_that_is_no_argument_is_refused_before_anything_runs(chapter, shown):
    with pytest.raises(ValueError, match="lines takes height"):
        chapter.try_it(lines, width=widgets.IntSlider())
    assert shown == []
