"""The points of a sweep, and everything that can be wrong with a sweep file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tiny import write_notebook, write_tiny

from spectral_book.readable import InputError
from spectral_book.sweeps.check import check_points
from spectral_book.sweeps.points import load_sweep, points_of, read_chapter
from spectral_book.sweeps.work import Settings


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    profile = folder / "params/gpu/tiny.yaml"
    profile.parent.mkdir(parents=True)
    profile.write_text("size: 7\nrate: 1e-2\n")
    return read_chapter(write_tiny(folder / "book"))


def points(chapter, known=(), **content):
    return points_of(load_sweep({"chapter": "x", **content}), chapter, known)


def test_grid_times_list_on_top_of_fixed_and_profile(chapter):
    found = points(
        chapter,
        profile="gpu",
        fixed={"word": "z"},
        grid={"wait": [0.0, 1.0]},
        list=[{"size": 1, "rate": 2.0}, {"size": 2}],
    )
    expected = [
        {"size": size, "rate": rate, "word": "z", "log": "", "wait": wait}
        for size, rate in ((1, 2.0), (2, 0.01))
        for wait in (0.0, 1.0)
    ]
    assert [p.parameters for p in found] == expected


def test_no_grid_is_one_point_of_defaults(chapter):
    (only,) = points(chapter)
    assert only.parameters == chapter.defaults
    assert only.id.startswith("point-")


def test_an_id_depends_on_the_parameters_alone(chapter):
    one = points(chapter, grid={"size": [1, 2], "rate": [0.5]})
    content = {"list": [{"size": 2}, {"size": 1}]}
    other = points(chapter, **content)
    assert {p.id[-10:] for p in one} == {p.id[-10:] for p in other}
    # An id is the name of files that later calls look for.
    names = ["size=1,rate=0.5-17853d7b2f", "size=2,rate=0.5-be361b0c2e"]
    assert [p.id for p in one] == names
    again = points(chapter, [p.id for p in one], **content)
    assert [p.id for p in again] == [one[1].id, one[0].id]
    assert points(chapter, ["size=9-0000000000"], **content) == other


def test_an_id_is_a_safe_file_name(chapter):
    words = ["$(touch x); `y` && z", "../../etc", "a b\n", "-" * 300, "é"]
    for point in points(chapter, grid={"word": words}):
        assert re.fullmatch(r"[A-Za-z0-9.,=+_-]+", point.id)
        assert len(point.id) < 100
        assert not point.id.startswith(".")


def test_arrays_and_ranges_are_lists(chapter):
    found = points(chapter, grid={"size": range(2), "rate": np.array([0.25, 0.5])})
    given = [(p.parameters["size"], p.parameters["rate"]) for p in found]
    assert given[:2] == [(0, 0.25), (0, 0.5)]
    assert json.loads(json.dumps(given)) == [list(pair) for pair in given]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"gird": {"size": [1]}}, "'gird': did you mean 'grid'"),
        ({"grid": {"size": 1}}, "grid.size = 1"),
        ({"grid": {"size": []}}, "grid.size = []: List should have at least 1 item"),
        ({"grid": {"size": [1, 1]}}, "twice: "),
        ({"grid": {"size": [1]}, "fixed": {"size": 2}}, "'size' is in the grid and"),
        ({"grid": {"size": [1]}, "list": [{"size": 2}]}, "'size' is in the grid and"),
        ({"grid": {"rate": [float("nan")]}}, "not JSON compliant"),
        ({"grid": {"size": [{1, 2}]}}, "is set; use numbers"),
        ({"profile": "gqu"}, "profile 'gqu': there is no"),
    ],
)
def test_what_can_be_wrong_with_a_sweep(chapter, content, words):
    with pytest.raises(InputError, match=re.escape(words)):
        points(chapter, **content)


def test_a_file_s_chapter_is_relative_to_it(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text("chapter: tiny.ipynb\n")
    assert load_sweep(file).chapter == tmp_path / "tiny.ipynb"
    with pytest.raises(InputError, match="there is no sweep file"):
        load_sweep(tmp_path / "other.yaml")
    for text, words in (
        ("grid: {}", f"{file}: Name 'chapter' is missing"),
        ("- 1", f"{file} must hold a mapping"),
        ("chapter: a\ngrid: {size: 1, size: 2}", f"{file}, line 2: 'size' stands"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=re.escape(words)):
            load_sweep(file)


def test_chapters_that_cannot_be_swept(tmp_path):
    with pytest.raises(InputError, match="there is no chapter"):
        read_chapter(tmp_path / "none.ipynb")
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(InputError, match="is not a notebook"):
        read_chapter(tmp_path / "broken.ipynb")
    with pytest.raises(InputError, match="literals and nothing else"):
        read_chapter(write_notebook(tmp_path / "a.ipynb", "size = 1 + 1"))


def test_a_hash_sees_code_and_claims_but_no_prose(tmp_path):
    path = write_tiny(tmp_path)
    first = read_chapter(path)
    path.write_text(path.read_text().replace("# Tiny", "# Other prose"))
    assert first.code == read_chapter(path).code
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims/tiny.yaml").write_text("threshold: 2")
    second = read_chapter(path).code
    write_tiny(tmp_path, work="pass")
    assert len({first.code, second, read_chapter(path).code}) == 3


def problems(chapter, **content):
    with pytest.raises(InputError) as caught:
        check_points(chapter, points(chapter, **content))
    return str(caught.value)


def test_all_bad_points_are_named_at_once(chapter):
    said = problems(
        chapter,
        list=[{"siez": 3}, {"size": 4}, {"size": "4"}, {"rate": "fast", "wait": None}],
        grid={"word": ["a", "b"]},
    )
    assert said.startswith("6 of 8 points cannot run; nothing was started")
    assert (
        "'siez': did you mean 'size'? (2 points, the first being siez=3,word=a-" in said
    )
    assert "size = '4': Input should be a valid integer" in said
    assert "rate = 'fast': Input should be a valid number" in said
    assert "wait = None" in said
    assert len(said.splitlines()) == 4


@pytest.mark.parametrize(("text", "better"), [("1e-3", "1.0e-3"), ("1.5e3", "1.5e+3")])
def test_a_number_that_came_as_text_is_told_how_to_be_written(chapter, text, better):
    said = problems(chapter, grid={"rate": [text]})
    assert f"rate = '{text}': Input should be a valid number; write {better}." in said
    assert "write" not in problems(chapter, grid={"size": [text]})


def test_of_many_problems_the_first_are_named(chapter):
    said = problems(chapter, grid={"size": [f"n{i}" for i in range(22)]})
    assert said.endswith("and 2 more")
    assert len(said.splitlines()) == 22


CLASS = """
from pydantic import model_validator
from spectral_book.chapter.parameters import ChapterParameters, Count

print("output of the cell")

class Parameters(ChapterParameters):
    size: Count
    other: Count

    @model_validator(mode="after")
    def fits(self):
        if self.size > self.other:
            raise ValueError(f"size = {self.size} is more than {self.other}")
        return self

raise SystemExit("training has begun")
"""


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    path = tmp_path_factory.mktemp("typed") / "typed.ipynb"
    first = (
        'profile: str = "quick"\nseeds: list[int] = [1]\ndevice: str = "auto"\n'
        "size: int = 1\nother: int = 2"
    )
    return read_chapter(write_notebook(path, first, "raise SystemExit", CLASS))


def test_the_chapter_s_own_class_decides(typed):
    said = problems(
        typed,
        list=[{"size": 3}, {"size": 0}, {"sizes": 1}, {"seeds": [1, 1]}, {"size": 2}],
    )
    assert said.startswith("4 of 5 points")
    assert "size = 3 is more than 2" in said
    assert "size = 0: Input should be greater than or equal to 1" in said
    assert "'sizes': did you mean 'size'?" in said
    assert "twice" in said


def test_a_gpu_is_looked_for_only_where_points_run(typed, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    asked = points(typed, fixed={"device": "cuda"})
    with pytest.raises(InputError, match="no CUDA device"):
        check_points(typed, asked)
    check_points(typed, asked, elsewhere=True)
    with pytest.raises(InputError, match="use 'auto'"):
        check_points(typed, points(typed, fixed={"device": "cudda"}), elsewhere=True)


def test_the_first_example_of_the_page_runs_on_any_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    root = Path(__file__).parents[2]
    page = (root / "book/batch.md").read_text("utf-8")
    file = tmp_path / "kernels.yaml"
    file.write_text(page.split("```yaml")[1].split("```")[0], "utf-8")
    (tmp_path / "book").symlink_to(root / "book")
    sweep = load_sweep(file)
    chapter = read_chapter(sweep.chapter)
    check_points(chapter, points_of(sweep, chapter))


def test_a_class_that_cannot_be_read(tmp_path):
    cell = "from spectral_book.chapter.parameters import ChapterParameters\n1 / 0\n"
    cell += "class P(ChapterParameters):\n    pass\n"
    chapter = read_chapter(write_notebook(tmp_path / "a.ipynb", "a = 1", cell))
    with pytest.raises(InputError, match="cannot be read: ZeroDivisionError"):
        check_points(chapter, points(chapter))


@pytest.mark.parametrize(
    ("said", "settings", "threads"),
    [
        (None, {}, 1),
        ("", {}, 1),
        ("3", {}, 3),
        ("3", {"threads": 2}, 2),
        # 0 is what it is in a build: the cores divided by what runs side by side.
        ("0", {}, 1),
        ("0", {"jobs": 2}, 4),
        ("3", {"threads": 0, "jobs": 16}, 1),
        ("0", {"jobs": 2, "scheduler": "tcp://a:1"}, 1),
    ],
)
def test_threads_of_a_point(monkeypatch, said, settings, threads):
    monkeypatch.setattr("spectral_book.sweeps.work.usable_cores", lambda: 8)
    monkeypatch.delenv("SPECTRAL_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("SPECTRAL_THREADS", said)
    assert Settings(**settings).threads_here() == threads
