"""A running chapter: claims, figures, sentences and experiments."""

import json
import re
from types import SimpleNamespace

import ipywidgets as widgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch

from spectral_book.chapter import cells, judging, showing
from spectral_book.chapter import chapter as module
from spectral_book.chapter import try_it as live
from spectral_book.chapter.chapter import Chapter, open_chapter
from spectral_book.chapter.parameters import ChapterParameters
from spectral_book.chapter.player import Choice, Player
from spectral_book.chapter.provenance import Provenance
from spectral_book.claims.claims_file import ClaimsFile
from spectral_book.claims.ledger import MIME_TYPE
from spectral_book.claims.published import ChapterRun as PublishedRun

CLAIM = {
    "id": "grows",
    "source": "Figure 1",
    "statement": "It grows.",
    "statistic": "value",
    "quantity": "x",
    "direction": "greater",
    "no_effect": 0.0,
    "threshold": 1.0,
    "control": "nothing",
    "differs": "Half the images.",
}
MINUTE = {"says": "It grows.", "measured": "by {grows:interval}", "claim": "grows"}
PANEL = {"claim": "grows", "held": "It grew", "otherwise": "Not so", "about": "x"}
FILE = {
    "chapter": "instabilities",
    "paper": "P",
    "frozen": "then",
    "minute": [MINUTE],
    "panel": PANEL,
    "leaves": ["It is {grows}.", "And {x}."],
    "claims": [CLAIM, CLAIM | {"id": "also"}],
}


@pytest.fixture
def chapter():
    return Chapter(
        claims=ClaimsFile.model_validate(FILE),
        profile="quick",
        device=torch.device("cpu"),
        provenance=Provenance("instabilities", "quick", [1], "cpu", {}),
        parameters={"size": 3},
        differences=[{"name": "size", "here": "3", "paper": "5", "meaning": "<b>"}],
    )


@pytest.fixture
def shown(monkeypatch):
    """What a chapter displays, in order."""
    found = []
    for part in (judging, showing, module):
        monkeypatch.setattr(part, "display", lambda thing, **_: found.append(thing))
    return found


def run_of(*seeds, seconds=1.0):
    """As much of a run as a chapter asks for."""
    ensemble = SimpleNamespace(seeds=seeds) if seeds else None
    return SimpleNamespace(seconds=seconds, ensemble=ensemble)


NONE = {"x": [0.0, 0.0, 0.0]}


GOOD = {"x": [2.0, 2.1, 2.2]}


def test_a_claim_is_judged_shown_and_published_in_the_order_of_its_file(
    chapter, shown, capsys
):
    chapter.not_comparable("also", "Not run here.")
    runs = [run_of(1, seconds=1.26), run_of(2)]
    chapter.judge("grows", **GOOD, control=NONE, runs=runs)
    row = chapter.rows["grows"]
    assert (row["verdict"], row["control"]["shows"]) == (
        "replicated",
        "does not show it",
    )
    assert (row["seconds"], row["differs"], row["n"]) == (2.3, "Half the images.", 3)
    assert row["control"]["values"] == [0.0, 0.0, 0.0]
    assert (row["profile"], row["device"]) == ("quick", "cpu")
    assert chapter.rows["also"]["verdict"] == "not comparable"
    assert chapter.rows["also"]["why"] == "Not run here."
    chapter.strips("grows")
    assert "2.1 [1.85, 2.35]" in shown[-1].data
    chapter.folded("The others")
    assert "The others: 1" in shown[-1].data
    assert "Not run here." in shown[-1].data
    chapter.table()
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["claim", "grows", "also"]
    chapter.panel([1, 2], np.array([0.5, 0.25]), "cycles")
    chapter.publish()
    published = shown[-1][MIME_TYPE]
    assert [one["id"] for one in published["claims"]] == ["grows", "also"]
    assert [one["holm"] for one in published["claims"]] == [True, None]
    PublishedRun.model_validate(published["run"])
    assert published["run"] == {
        "chapter": "instabilities",
        "profile": "quick",
        "device": "cpu",
        "parameters": {"size": 3},
        "differences": [{"name": "size", "here": "3", "paper": "5", "meaning": "<b>"}],
        "minute": [
            MINUTE | {"measured": "by 2.1 [1.85, 2.35]", "verdict": "replicated"}
        ],
        "panel": {
            **{"title": "It grew", "about": "x", "label": "cycles"},
            **{"x": [1.0, 2.0], "missing": [0.5, 0.25]},
        },
    }
    page = shown[-1]["text/html"]
    folded = "<details class='folded'><summary>2 claims of the paper: 1 replicated, "
    assert page.startswith(folded)
    assert page.index("claims-table") < page.index("</details>")
    assert "What differs from the profile paper: 1 parameters" in page
    assert "<td>size</td><td>3</td><td>5</td><td>&lt;b&gt;</td>" in page


def test_what_is_published_without_a_curve_or_a_difference(chapter, shown):
    chapter.differences = ()
    chapter.inconclusive("grows", "Nothing came out.")
    chapter.inconclusive("also", "Nothing came out.")
    chapter.strips()
    chapter.publish()
    run = shown[-1][MIME_TYPE]["run"]
    assert (run["panel"], run["differences"]) == (None, ())
    assert run["minute"][0]["measured"] == "by –"
    assert "differs" not in shown[-1]["text/html"]
    chapter.panel([1], [0.5], "k")
    chapter.publish()
    assert shown[-1][MIME_TYPE]["run"]["panel"]["title"] == "Not so"
    with pytest.raises(ValueError, match="as many numbers as frequencies"):
        chapter.panel([1, 2], [1], "k")


def test_a_panel_with_a_number_missing_is_none(chapter):
    chapter.panel([1, 2], [0.5, np.nan], "k")
    assert chapter.curve is None


def test_what_rounding_is_known_to_move_reaches_the_verdict(chapter, shown):
    chapter.rounding, chapter.reaches = {"grows": (2.0, 2.0)}, {"grows": 3.0}
    chapter.judge("grows", **GOOD, control=NONE)
    assert chapter.rows["grows"]["verdict"] == "inconclusive"
    assert chapter.rows["grows"]["rounding_decides"]
    low, high = (chapter.rows["grows"][end] for end in ("ci_low", "ci_high"))
    assert chapter.rows["grows"]["elsewhere"] == pytest.approx([low - 3, high + 3])


def test_a_precondition_is_measured_and_not_forgotten(chapter, shown):
    condition = {"quantity": "NMSE", "below": 0.1}
    claims = [CLAIM | {"precondition": condition}, CLAIM | {"id": "also"}]
    chapter.claims = ClaimsFile.model_validate(FILE | {"claims": claims})
    with pytest.raises(ValueError, match="'grows' needs its precondition's numbers"):
        chapter.judge("grows", **GOOD, control=NONE)
    with pytest.raises(ValueError, match="'also' has no precondition's numbers"):
        chapter.judge("also", **GOOD, control=NONE, precondition=[0.1])
    chapter.judge("grows", **GOOD, control=NONE, precondition=[0.9, 0.8])
    assert chapter.rows["grows"]["verdict"] == "not comparable"
    assert chapter.rows["grows"]["why"] == "NMSE is 0.85; it has to be below 0.1."


def test_a_claim_that_is_unknown_judged_or_shown_twice_or_never_is_told(chapter, shown):
    with pytest.raises(KeyError, match="No claim 'grow'"):
        chapter.judge("grow", x=[1.0], control=NONE)
    with pytest.raises(
        ValueError, match=r"'grows' was not judged, .* to be shown are: no"
    ):
        chapter.strips("grows")
    chapter.inconclusive("grows", "Nothing came out.")
    assert chapter.rows["grows"]["verdict"] == "inconclusive"
    with pytest.raises(ValueError, match="'grows' was judged before"):
        chapter.judge("grows", x=[1.0], control=NONE)
    for end in (chapter.table, chapter.publish):
        with pytest.raises(ValueError, match=r"never judged: also\."):
            end()
    chapter.inconclusive("also", "Nothing came out.")
    with pytest.raises(ValueError, match="judged and never shown: grows, also"):
        chapter.publish()
    chapter.strips("also")
    with pytest.raises(ValueError, match="'also' was not judged, or is shown already"):
        chapter.strips("also")


@pytest.fixture
def cell(monkeypatch):
    """Run the cells of a front end: a name and the number of the run."""
    shell = SimpleNamespace(get_parent=dict)
    monkeypatch.setattr(cells, "get_ipython", lambda: shell)

    def run(name, number):
        message = {"metadata": {"cellId": name}, "header": {"msg_id": str(number)}}
        shell.get_parent = lambda: message

    return run


def test_a_cell_that_runs_again_judges_anew_and_no_other_cell_does(
    chapter, shown, cell
):
    for run, x in enumerate((2.0, 3.0)):
        cell("a", run)
        chapter.judge("grows", x=[x, x, x + 0.1], control=NONE)
        assert chapter.rows["grows"]["values"][0] == x
        with pytest.raises(ValueError, match="'grows' was judged before"):
            chapter.judge("grows", x=[1.0], control=NONE)  # twice in one cell
    for other in ("b", None):
        cell(other, 7)
        with pytest.raises(ValueError, match="'grows' was judged before"):
            chapter.inconclusive("grows", "Nothing came out.")
    cell("a", 8)
    chapter.not_comparable("grows", "Not run here.")


def test_a_cell_that_runs_again_shows_its_claims_again(chapter, shown, cell):
    cell("a", 1)
    chapter.judge("grows", x=[2.0, 2.1, 2.2], control=NONE)
    for run in (2, 3):
        cell("b", run)
        shown.clear()
        chapter.strips()
        assert 'id="grows"' in shown[0].data
    cell("c", 4)
    shown.clear()
    chapter.strips()
    assert not shown


def test_a_cell_that_runs_again_keeps_the_numbers_of_its_figures(chapter, shown, cell):
    def numbers(name, run, count):
        cell(name, run)
        shown.clear()
        for _ in range(count):
            chapter.show(plt.figure(), "")
        return [int(re.search('id="figure-(.*?)"', c.data)[1]) for c in shown[1::2]]

    assert numbers("a", 1, 2) == [1, 2]
    assert numbers("b", 2, 1) == [3]
    assert numbers("a", 3, 3) == [1, 2, 4]
    assert numbers("b", 4, 1) == [3]
    assert numbers(None, 5, 2) == [5, 6]
    assert numbers(None, 6, 1) == [7]


def test_sentences_are_filled_and_a_remark_is_checked_even_where_it_is_not_said(
    chapter, shown
):
    chapter.judge("grows", **GOOD, control=NONE)
    chapter.say("At {x:.0%}: {grows:verdict}.", x=0.5)
    chapter.remark(False, "not {x}", x=1)
    chapter.remark(np.True_, "so {x}", x=1)
    with pytest.raises(ValueError, match=r"names \{y\}"):
        chapter.remark(False, "not {y}")
    chapter.leaves(x=2)
    texts = [thing.data for thing in shown[1:]]
    leaves = "- It is 2.1 (replicated).\n- And 2."
    assert texts == ["At 50 %: replicated.", "so 1", leaves]


def test_figures_and_players_are_numbered_and_have_words(chapter, shown):
    chapter.show(plt.figure(), "A <b>figure</b>.")
    film = Player((b"one", b"two"), (Choice("epoch", ("1", "2"), 1),))
    chapter.show(film, "<b>A film.</b> Of two.")
    picture, first, film, second = (thing.data for thing in shown)
    assert picture.startswith(b"\x89PNG")
    assert 'id="figure-1"><b>Figure 1.</b> A <b>figure</b>.</p>' in first
    assert 'alt="A film."' in film
    assert 'id="figure-2"' in second
    assert "papermill" in second


@pytest.fixture
def drawn(monkeypatch):
    """The figures that a chapter draws."""
    found = []

    def picture(figure):
        found.append(figure)
        return draw(figure)

    draw = showing.picture
    monkeypatch.setattr(showing, "picture", picture)
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


def test_a_reader_gets_the_controls_with_the_same_caption(
    chapter, shown, cell, monkeypatch
):
    box = widgets.VBox()
    made = []

    class Panel:
        def __init__(self, run, controls):
            made.append((run, controls))
            self.box = box

        def close(self):
            made.append("closed")

    cell("a", 1)
    monkeypatch.setattr(live, "Panel", Panel)
    control = widgets.IntSlider(2, 0, 5)
    chapter.try_it(lines, height=control)
    assert made == [(lines, {"height": control})]
    assert shown[0] is box
    assert "<b>Try it.</b> Lines of rising height." in shown[1].data
    chapter.try_it(lines, height=control)
    assert made[1:] == ["closed", (lines, {"height": control})]


def test_the_line_under_a_figure_names_the_seeds_of_its_runs(chapter, shown):
    chapter.show(plt.figure(), "", (r for r in [run_of(8), run_of(1, 2, 3)]))
    assert "seeds 1 to 3, 8 ·" in shown[-1].data
    assert "2 s ·" in shown[-1].data
    for unnamed in ([run_of()], [run_of(7), run_of()], []):
        chapter.show(plt.figure(), "", unnamed)
        assert "seed 1 ·" in shown[-1].data
    chapter.show(plt.figure(), "", [run_of(7)], seeds=[8])
    assert "seed 8 ·" in shown[-1].data
    chapter.show(plt.figure(), "", [run_of(7)], seeds=())
    assert "seed" not in shown[-1].data


USUAL = 'profile = "quick"\nseeds = [1]\ndevice = "auto"\nsize = 3'


@pytest.fixture
def book(tmp_path, monkeypatch):
    """The folder of a book of one chapter, with a profile; the working folder."""
    book = tmp_path / "book"
    (book / "claims").mkdir(parents=True)
    (book / "claims" / "c.yaml").write_text(json.dumps(FILE))
    (tmp_path / "params" / "gpu").mkdir(parents=True)
    (tmp_path / "params" / "gpu" / "c.yaml").write_text("profile: gpu\nsize: 5\n")
    write_notebook(book, USUAL)
    monkeypatch.chdir(book)
    with mpl.rc_context():
        yield book


def write_notebook(book, cell):
    cell = nbformat.v4.new_code_cell(cell, metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), book / "c.ipynb")


def opened(profile="quick", size=3):
    class Parameters(ChapterParameters):
        size: int

    given = Parameters(profile=profile, seeds=[1], device="cpu", size=size)
    return open_chapter("c", given)


@pytest.mark.parametrize(
    ("profile", "size", "label"),
    [
        ("quick", 3, "profile quick ·"),
        ("quick", 5, "profile quick, changed ·"),
        ("gpu", 5, "profile gpu ·"),
        ("gpu", 3, "profile gpu, changed ·"),
    ],
)
def test_a_run_is_that_of_its_profile_on_whatever_device(book, profile, size, label):
    assert label in opened(profile, size).provenance.line()


def test_a_run_holds_its_parameters_what_differs_and_what_rounding_moves(book):
    spreads = book.parent / "results" / "rounding" / "quick.json"
    spreads.parent.mkdir(parents=True)
    moved, was = '{"grows": [0.25, 0.25]}', '{"grows": 2.5}'
    spreads.write_text(f'{{"decides": [], "spreads": {moved}, "expected": {was}}}')
    (book.parent / "params" / "paper").mkdir(parents=True, exist_ok=True)
    (book.parent / "params" / "paper" / "c.yaml").write_text(
        "profile: paper\nsize: 5\n"
    )
    found = opened("quick", 3)
    assert found.parameters["size"] == 3
    assert found.differences == [
        {"name": "size", "here": "3", "paper": "5", "meaning": ""}
    ]
    assert found.rounding == {"grows": (0.5, 0.5)}
    assert found.reaches == {"grows": 0.75}
    assert found.expected == {"grows": 2.5}
    # What was measured for a profile says nothing of a changed run.
    changed = opened("quick", 4)
    assert changed.rounding == changed.reaches == changed.expected == {}


def test_parameters_edited_in_the_notebook_file_are_changed(book, commit_all):
    commit_all(book.parent)
    write_notebook(book, USUAL.replace("size = 3", "size = 5"))
    found = opened(size=5).provenance
    assert "profile quick, changed ·" in found.line()
    assert "size" not in found.command  # which runs the file as it is
    assert "profile quick ·" in opened(size=3).provenance.line()


def test_a_chapter_in_another_folder_is_told_where_to_run(book, monkeypatch):
    monkeypatch.chdir(book.parent)
    words = rf"no claims file claims/c\.yaml\. .* in {book.parent}; .* --cwd book\."
    with pytest.raises(ValueError, match=words):
        opened()
    monkeypatch.chdir("/")
    with pytest.raises(ValueError, match="--cwd FOLDER"):
        opened()


def test_the_default_type_of_a_users_startup_file_does_not_count(book):
    torch.set_default_dtype(torch.float64)
    opened()
    assert torch.get_default_dtype() == torch.float32


def test_a_control_that_is_no_argument_is_refused_before_anything_runs(chapter, shown):
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        chapter.try_it(lines, width=widgets.IntSlider())
    assert shown == []
