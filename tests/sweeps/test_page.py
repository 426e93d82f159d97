"""The page of a sweep, and the HTML book of its notebooks."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from tiny import records

from spectral_book.readable import InputError
from spectral_book.sweeps.collect import collect
from spectral_book.sweeps.html import write_book
from spectral_book.sweeps.page import draw_estimates, label, sentence, write_page
from spectral_book.sweeps.results import notebook_path


def test_sentences_say_where_a_claim_stops(done):
    table = collect(done)
    assert (
        sentence(table, "grows", "size")
        == "`size`: replicated at 1, 2; not replicated at 3, 4."
    )
    expected = "`word`: not replicated or replicated at a, b."
    assert sentence(table, "grows", "word") == expected


def test_a_text_parameter_is_shown_without_html():
    assert label("<img src=x onerror=alert(1)>") == "< img src=x onerror=alert(1)>"
    assert label(0.5) == "0.5"


def test_figures_show_the_numbers(done):
    by_size, by_word = draw_estimates(collect(done), "grows", ["size", "word"]).axes
    assert [t.get_text() for t in by_size.get_xticklabels()] == ["1", "2", "3", "4"]
    assert [t.get_text() for t in by_word.get_xticklabels()] == ["a", "b"]
    points = [c for c in by_size.collections if c.get_label() in ("replicated",)]
    (replicated,) = (c.get_offsets().tolist() for c in points)
    assert sorted(y for _, y in replicated) == [0.5, 0.5, 1.0, 1.0]
    assert {round(x) for x, _ in replicated} == {0, 1}
    intervals = by_size.collections[0].get_segments()
    assert {round(b[1] - a[1], 9) for a, b in intervals} == {0.2}
    texts = [text.get_text() for text in by_word.get_legend().get_texts()]
    assert texts == ["replicated", "not replicated"]


def test_the_page(done):
    page = write_page(done)
    text = page.read_text()
    assert page == done / "page/index.md"
    assert "# Sweep of `tiny`" in text
    assert "- 8 points: 8 done, 0 failed, 0 pending\n- `size`: 1, 2, 3, 4\n" in text
    assert "- `size`: replicated at 1, 2; not replicated at 3, 4." in text
    assert "### grows" in text
    assert "### stays" not in text
    assert "| `grows` | 4 | 4 |" in text
    assert "| `stays` | 0 | 8 |" in text
    assert "older" not in text
    (figure,) = (page.parent / "figures").glob("*.svg")
    assert f"(figures/{figure.name})" in text


def test_the_page_says_what_is_missing_and_what_is_old(done, monkeypatch):
    name = next(iter(records(done)))
    notebook_path(done, name).unlink()
    monkeypatch.setattr("spectral_book.sweeps.collect.chapter_code", lambda: "new")
    text = write_page(done).read_text()
    assert "- 8 points: 7 done, 0 failed, 1 pending" in text
    assert "- 7 done with an older chapter or library" in text


def test_nothing_to_show_yet(done, tmp_path):
    for name in records(done):
        notebook_path(done, name).unlink()
    for show in (write_page, lambda out: write_book(out, tmp_path / "book")):
        with pytest.raises(InputError, match="yet"):
            show(done)


class Pictures(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.sources = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.sources.append(dict(attributes)["src"])


@pytest.mark.book
@pytest.mark.processes
def test_the_book_shows_the_runs_without_running_them(done, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in done.glob("points/*")}
    html = write_book(done, tmp_path / "book").parent
    assert {path: path.stat().st_mtime_ns for path in done.glob("points/*")} == before
    pages = sorted((html / "points").glob("*.html"))
    assert len(pages) == 8
    shown = [re.search(r"ran (\S+)-\d{10}", page.read_text())[1] for page in pages]
    assert sorted(shown) == sorted(name.rpartition("-")[0] for name in records(done))
    front = (html / "page/index.html").read_text()
    sources = [s for s in Pictures(front).sources if "grows" in s]
    assert len(sources) == 1
    assert (html / "page" / sources[0]).resolve().is_file()
    assert "cdn" not in front
    assert (html / "_static/mathjax").is_dir()
    with pytest.raises(InputError, match="choose a new or an empty folder"):
        write_book(done, tmp_path / "book")
