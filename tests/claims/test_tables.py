"""Claims as a table, folded, as strips, and as text to compare; what each row tells."""

import re

import numpy as np
import pytest
from one_claim import BAND, RUN, around, claim, file_of, row

from spectral_book.claims.facts import (
    apart,
    control_found,
    facts,
    marks,
    place,
    sample,
    share_reached,
)
from spectral_book.claims.rows import row_without_numbers, with_holm
from spectral_book.claims.strip import Axis, common_axis, strip, strips
from spectral_book.claims.tables import beside, folded, html, plain_html, text

FAR = [-1.0, -1.2, 0.0, -0.5, -0.7]
SAID = {"statement": "x < y & more", "quantity": "x < y", "differs": "half < all"}
SAID |= {"printed": {"value": 0.88, "where": "Table 2"}, "late": "bar"}
ROW = row(around(0.5, 0.4), FAR, **SAID)
GOOD = row(around(1.41, 0.4), FAR)
FINDING = row(around(1.5, 0.4), FAR, origin="book", source="Derived")
RECORDED = {**FINDING, "recorded": "desk"}
SHAKY = row(around(1.5, 0.4), FAR, rounding=0.2)
REACHING = row(around(1.5, 0.4), FAR, rounding=0.2, reach=0.3)
LOST = row([np.nan, 2.0, 2.1, 2.2], [1.0] * 4)
RATIO = row(
    [4.0, 8.0, 4.1], [1.0, 2.0, 1.0], statistic="ratio", no_effect=1, threshold=2
)
NOT_RUN = row_without_numbers(claim(), file_of(claim()), "not comparable", "<b>", **RUN)


@pytest.mark.parametrize(
    "part",
    [
        "between “no effect” and the bar. It reaches 50 % of the effect asked for.",
        "x &lt; y: 0.5 [0.1, 0.9] (95 % t interval; n = 5; needed ≥ 1 ",
        "(no effect 0); p &gt; 0.95 against the bar)",
        "Control, nothing: −0.68 [−1.2",
        "], does not show it, less the control: 1.18 [",
        "The paper: 0.88 (Table 2); inside our interval 0.5 [0.1, 0.9]",
        "The bar was set after a run had been seen.",
        "Differs from the paper: half &lt; all",
        "quick, cpu",
    ],
)
def test_a_row_tells_how_it_was_measured_and_escapes_the_words(part):
    assert part in "\n".join(facts(ROW)).replace("\u00a0", " ")
    for drawn in (folded("More", [ROW]), strips([ROW])):
        assert part in drawn.replace("\u00a0", " ")
        assert "x < y" not in drawn
        assert "x &lt; y &amp; more" in drawn
        assert 'id="a-claim"' in drawn


def test_a_row_leaves_out_what_is_not_so():
    for words in ("paper", "set after", "Differs", "reaches", "Holm", "Recorded"):
        assert words not in "\n".join(facts(GOOD))
    assert apart(NOT_RUN) == control_found(NOT_RUN) == ""
    assert "p =" not in "\n".join(facts(row([1.0] * 3, [0.0] * 3)))


def test_a_row_tells_place_sample_and_distance():
    assert place(ROW) == "the paper's Figure 1"
    assert place(FINDING) == "a finding of this book; Derived"
    assert place(row([1.0], source="Derived")) == "Derived"
    assert sample(ROW) == "n\u00a0=\u00a05"
    assert sample(LOST) == "n\u00a0=\u00a03 of 4"
    assert apart(RATIO).startswith("divided by the control's: 4.03 [3.89, 4.18]")
    share = row([0.9, 0.8, 0.85], [0.1, 0.2, 0.1], bounds=(0.0, 1.0))
    assert apart(share).startswith("less the control, as log odds: ")
    (failed, *_) = with_holm([GOOD, GOOD, GOOD])
    assert "Fails Holm's correction for the chapter's claims." in facts(failed)
    run = "Recorded run (desk), not made by this build: "
    said = f"{run}holds, 1.5 [1.1, 1.9]. The interval clears the bar."
    assert said in facts(GOOD, RECORDED)


def test_a_tables_entries_reach_no_share_of_an_effect():
    """A printed number that is wrong by 40 % reaches nothing, whatever the bar."""
    off = {"direction": "less", "no_effect": 1.0, "threshold": 0.03}
    found = row([0.4, 0.16, 0.06], [3.0] * 3, interval="range", **off)
    assert found["verdict"] == "weaker than claimed"
    assert found["share"] > 0.5
    assert share_reached(found) == ""
    assert marks(found) == ["no entry meets the bar"]
    told = "\n".join(facts(found))
    assert "sign" not in told
    assert "The interval lies between “no effect” and the bar." in told


def test_a_recorded_run_says_why_it_is_open():
    found = row(around(1.5, 0.1), [0.5, 5.0, 0.2, 3.0, 0.9])
    said = facts(GOOD, {**found, "recorded": "desk"})[-2]
    assert said.endswith(
        "The interval clears the bar. It cannot be told from its control."
    )
    told = html([GOOD], {GOOD["id"]: found})
    assert "<small>■ ? inconclusive; like its control</small>" in told
    assert "<small>■ 1.5 [1.4, 1.6]</small>" in told
    untested = {**NOT_RUN, "recorded": "desk"}
    run = "Recorded run (desk), not made by this build: "
    assert f"{run}not comparable, –. &lt;b&gt;" in facts(GOOD, untested)


def test_a_table_has_what_was_needed_and_marks_what_is_unsure():
    (failed, *_) = with_holm([GOOD, GOOD, GOOD])
    drawn = html([ROW, SHAKY, failed, NOT_RUN])
    assert "<td>0.5 [0.1, 0.9]</td><td>≥\u00a01</td>" in drawn
    assert drawn.count(">rounding on another processor could change it<") == 1
    assert drawn.count("may be chance (p = 0.02, fails Holm)<") == 1
    assert "ledger-weaker-than-claimed" in drawn
    assert "<td>–</td>" in drawn
    assert "<td>within [−0.5, 0.5]</td>" in html([row(around(0, 0.3), FAR, **BAND)])
    assert "recorded" not in drawn
    drawn = html([GOOD], {GOOD["id"]: RECORDED})
    assert drawn.startswith('<p class="strip-legend">■ a recorded run, larger and not')
    assert drawn.count("<small>■ ● holds</small>") == 1
    assert "<td>1.41 [1.01, 1.81]<br><small>■ 1.5 [1.1, 1.9]</small></td>" in drawn
    alike = html([GOOD], {GOOD["id"]: {**GOOD, "recorded": "desk"}})
    assert "strip-legend" in alike
    assert "<small>■" not in alike
    drawn = folded("More", [GOOD], {GOOD["id"]: RECORDED})
    assert "Recorded run (desk), not made by this build: holds, 1.5 [1.1" in drawn
    assert "<td>a &lt; b</td>" in plain_html(["head"], [["a < b"]])


def test_the_text_to_compare_is_coarse_and_leaves_open_what_another_machine_prints():
    moves = row(around(0.3, 0.1), FAR, rounding=0.3)
    steady = row(around(0.3, 0.1), FAR, rounding=1e-3)
    blown = row([np.inf] * 5, FAR, rounding=0.1)
    lines = text([ROW, SHAKY, moves, steady, blown, NOT_RUN]).splitlines()
    cells = [re.split(r"  +", line) for line in lines]
    assert cells[0] == ["claim", "estimate", "needed", "n", "verdict"]
    assert cells[1][1:] == ["~0.3", "≥ 1 (no effect 0)", "5", "weaker than claimed"]
    assert [line[1] for line in cells[2:]] == ["varies", "varies", "~0.3", "∞", "-"]
    assert [line[3] for line in cells[2:]] == ["-", "-", "5", "5", "0"]
    assert len({line.index(c[4]) for line, c in zip(lines, cells, strict=True)}) == 1


def test_an_estimate_that_agrees_with_the_expected_one_is_rounded_like_it():
    def estimate(mean, expected, **more):
        found = row(around(mean, 0.01), FAR, **more)
        return re.split(r"  +", text([found], {"a-claim": expected}).splitlines()[1])[1]

    # Of these, 0.173 lies between the steps 0.1 and 0.3.
    for mean in (0.16, 0.18):
        assert estimate(mean, 0.16) == "~0.1"
        assert estimate(mean, 0.18) == "~0.3"
        assert estimate(mean, 0.16, rounding=0.03) == "varies"
        assert estimate(mean, 0.14, rounding=0.03) == "~0.1"
    assert estimate(0.4, 0.16) == "~0.3"
    assert estimate(-0.16, 0.16) == "~-0.1"
    # Zero beside the bar of 1, less no effect.
    assert estimate(0.06, 0.02) == estimate(-0.02, 0.04) == "~0"


@pytest.mark.parametrize(
    ("values", "control", "said"),
    [
        (around(1.5, 0.1), [1.45, 1.5, 1.55, 1.6, 1.5], "its control shows it, too"),
        (around(1.5, 0.1), [0.5, 5.0, 0.2, 3.0, 0.9], "like its control"),
        (around(1.5, 0.1), [2.5, 2.6, 2.4, 2.5, 2.5], "its control shows more"),
        (around(1.2, 0.5), FAR, "the effect may be too small"),
        (around(0.6, 0.9), FAR, "too uncertain to tell"),
        ([2.0, 2.1, 2.2, 2.1, np.nan], FAR, "1 of 5 seeds gave no number"),
        (
            [2.0, 2.1, 2.2, 2.1],
            [*FAR[:3], np.nan],
            "1 of 4 seeds of the control gave no number",
        ),
        ([2.0, 2.1], FAR[:2], "too few numbers"),
        ([2.0, 2.1, 2.2], [0.1, 0.2, np.nan], "its control gave too few numbers"),
        (around(1.5, 0.1), FAR, None),
    ],
)
def test_the_face_of_a_claim_says_what_keeps_it_open(values, control, said):
    found = row(values, control)
    for drawn in (strip(found).partition("</summary>")[0], folded("More", [found])):
        marks = re.findall(r'<span class="beside">(.*?)</span>', drawn)
        assert marks == ([said] if said else [])
    assert found["verdict"] == ("inconclusive" if said else "replicated")


def test_the_face_of_a_claim_says_that_a_band_or_rounding_keeps_it_open():
    assert marks(row(around(0.5, 0.4), FAR, **BAND)) == ["perhaps outside the band"]
    assert marks(SHAKY) == ["rounding on another processor could change it"]
    entries = row([0.9, 1.5, 3.0], [0.0] * 3, interval="range")
    assert marks(entries) == ["some entries miss the bar"]
    # A verdict that holds on every processor, and one open anyway.
    assert marks(row(around(1.5, 0.4), FAR, rounding=1e-3)) == []
    open_anyway = row(around(1.2, 0.5), FAR, rounding=0.4)
    assert open_anyway["rounding_decides"]
    assert beside(open_anyway) == (
        ' <span class="beside">the effect may be too small; '
        "rounding on another processor could change it</span>"
    )
    assert beside(GOOD) == ""


def test_the_face_of_a_claim_says_which_precondition_was_not_met():
    asked = {"precondition": {"quantity": "NMSE", "below": 0.1}}
    found = row(around(1.5, 0.4), FAR, [0.25, 0.35], **asked)
    assert found["verdict"] == "not comparable"
    assert marks(found) == ["precondition not met: 0.3, needed below 0.1"]
    assert marks(NOT_RUN) == []


def test_a_strip_shows_how_far_rounding_may_carry_the_interval():
    said = "another processor could give 0.8 to 2.2"
    assert marks(REACHING) == [said]
    for drawn in (strip(REACHING), folded("More", [REACHING]), html([REACHING])):
        assert said in drawn
    for drawn in (strip(REACHING), folded("More", [REACHING])):
        assert "the interval may lie anywhere from 0.8 to 2.2." in drawn
    drawn = strip(REACHING)
    assert "interval 1.1 to 1.9, on another processor 0.8 to 2.2" in drawn
    # The pale part reaches out of what was needed, the interval does not.
    assert places(drawn, "elsewhere") < places(drawn, "zone")
    assert places(drawn, "zone") < places(drawn, "interval")
    assert Axis([REACHING]).high > 2.2 > Axis([SHAKY]).high
    # Nothing where it decides nothing, and on a scale by what the scale measures.
    assert row(around(9.0, 0.4), FAR, rounding=0.2, reach=0.3)["elsewhere"] is None
    assert "elsewhere" not in strip(SHAKY)
    ratio = {"statistic": "ratio", "no_effect": 1.0, "threshold": 2.0}
    near = row([2.2, 2.3, 2.4], [1.0] * 3, rounding=0.2, reach=np.log(2), **ratio)
    assert near["elsewhere"] == pytest.approx([near["ci_low"] / 2, 2 * near["ci_high"]])


def test_a_strip_draws_the_control_with_its_interval_and_explains_its_marks():
    found = row(around(1.5, 0.1), [0.5, 5.0, 0.2, 3.0, 0.9])
    drawn = strip(found)
    assert marks(found) == ["like its control"]
    # It lies around the measurement, which the interval of the control alone shows.
    assert places(drawn, "control-interval") < places(drawn, "interval")
    low, high = (found["control"][end] for end in ("ci_low", "ci_high"))
    assert low < found["ci_low"] < found["ci_high"] < high
    # Where the control decides, the axis holds it.
    better = row(around(1.5, 0.1), [2.5, 2.6, 2.4, 2.5, 2.5])
    assert marks(better) == ["its control shows more"]
    assert Axis([better]).holds(2.5)
    assert not Axis([GOOD]).holds(-1.2)
    unfolded = drawn.partition("</summary>")[2]
    assert "Hollow dot, thin line: the control" in unfolded
    assert "Hollow dot" not in drawn.partition("</summary>")[0]
    assert "Hollow dot" not in strip(NOT_RUN)


def places(drawn, kind):
    found = re.search(rf'class="{kind}" (?:c?x|x1)="([-\d.]+)%', drawn)
    return float(found[1])


def test_a_strip_places_its_marks_on_the_scale():
    drawn = strip(RATIO)
    # Ratios of 1, 2, 4: equally far apart as logarithms.
    nothing, bar = places(drawn, "none"), places(drawn, "zone")
    control, estimate = places(drawn, "control"), places(drawn, "estimate")
    octave = bar - nothing
    assert octave > 5
    middle = np.log2(2 ** (1 / 3)), np.log2((4 * 8 * 4.1) ** (1 / 3))
    assert (control - nothing, estimate - nothing) == pytest.approx(
        [octave * m for m in middle], abs=0.05
    )
    assert 'aria-label="log scale, estimate 5.08, interval' in drawn
    assert "no effect 1, control 1.26" in drawn
    assert "<svg" not in strip(NOT_RUN)
    assert "&lt;b&gt;" in strip(NOT_RUN)
    assert 'class="control"' in strip(row([np.inf] * 5, [-np.inf] * 5))
    assert "■" in strip(GOOD, recorded=RECORDED)


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        (RATIO, [("middle", "1"), ("middle", "2")]),
        (row(around(40.0, 0.4), FAR), [("end", "0"), ("start", "1")]),
        (row([0.1] * 5, FAR, **BAND), [("middle", "−0.5"), ("middle", "0.5")]),
    ],
)
def test_a_strip_has_numbers_at_no_effect_and_at_what_was_needed(found, labels):
    drawn = strip(found)
    pattern = r'class="label" x="[\d.]+%" y="34" text-anchor="(\w+)">(.*?)<'
    assert re.findall(pattern, drawn) == labels
    if not found["band"]:
        assert f"(no effect {found['no_effect']:g})" in drawn.partition("</summary>")[0]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (RATIO, "log scale"),
        (row([0.9, 0.8, 0.85], FAR, bounds=(0.0, 1.0)), "log-odds scale"),
        (row([0.9, 0.8, 0.85], FAR, bounds=(-1.0, 1.0)), "z scale"),
        (GOOD, None),
    ],
)
def test_an_axis_that_is_not_linear_says_so(found, said):
    drawn = strip(found)
    shown = re.findall(r'class="label scale" x="(\d+)%".*?>(.*?)<', drawn)
    assert [name for _, name in shown] == ([said] if said else [])
    spoken = re.search('aria-label="(.*?)"', drawn)[1]
    assert spoken.startswith(f"{said}, estimate" if said else "estimate")
    for where, _ in shown:  # away from the numbers at no effect and at the bar
        numbers = re.findall(r'class="label" x="([\d.]+)%"', drawn)
        assert all(abs(float(where) - float(x)) > 15 for x in numbers)


def test_neighbours_share_an_axis_where_their_bars_are_alike():
    other = row(around(3.0, 0.4), FAR)
    assert common_axis([GOOD, other]).high > 3.4
    assert common_axis([GOOD, RATIO]) is None
    assert common_axis([]) is None
    assert places(strips([GOOD, other]), "estimate") < places(strip(GOOD), "estimate")
