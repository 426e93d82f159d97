"""The page of costs: made from a file of measurements, refused if that is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from minibook import MiniBook

from spectral_book.pages.costs import (
    QUESTIONS,
    Cost,
    CostGroup,
    command,
    in_short,
    read_costs,
    write_group,
)

ROWS = [
    Cost(
        quantity="16 replicas, stacked",
        unit="ms",
        ours=0.25,
        against="one after another",
        other=0.5,
        ratio=(1.5, 2.0, 2.25),
        gap=2.5e-7,
    ),
    Cost(
        quantity="A reading",
        unit="s",
        ours=0.5,
        against="an epoch",
        other=4.0,
        ratio=(0.125, 0.125, 0.125),
        share=True,
        note="of 50 points",
    ),
]
MADE = {
    **{"processor": "Model 7", "cores": 2, "threads": 1, "torch": "2.9"},
    **{"Lightning": "2.5", "rounds": 5, "commit": "abc1234"},
}
GROUP = CostGroup(title="Stacking", about="All at once.", made=MADE, rows=ROWS)


def test_cells_say_ratio_or_share():
    first, second = (
        tuple(cell.replace("\u00a0", " ") for cell in row.cells()) for row in ROWS
    )
    assert first == (
        "16 replicas, stacked",
        "0.25 ms",
        "one after another: 0.5 ms",
        "2 (1.5 to 2.25)",
        "to 2·10⁻⁷",
    )
    assert second[0] == "A reading (of 50 points)"
    assert second[3:] == ("12.5 %", "–")
    assert ROWS[0].model_copy(update={"gap": 0.0}).cells()[4] == "identical"


def test_origin_counts_and_leaves_out_a_peer_that_was_not_there():
    told = "Measured on: processor Model 7, 2 cores, 1 thread, torch 2.9, "
    assert GROUP.origin() == f"{told}5 rounds, commit abc1234."
    peer = GROUP.model_copy(
        update={"rows": [*ROWS, ROWS[0].model_copy(update={"against": "Lightning"})]}
    )
    assert peer.origin() == f"{told}Lightning 2.5, 5 rounds, commit abc1234."


def test_a_line_a_question_says_lowest_and_highest():
    def row(quantity, ratio, against="plain loop, DataLoader"):
        changes = {"quantity": quantity, "ratio": (ratio,) * 3, "against": against}
        return ROWS[0].model_copy(update=changes)

    rows = [row("a", 2.0), row("b", 1.5), row("c", 4.0), row("d", 9.0, "Lightning")]
    groups = {"peers": GROUP.model_copy(update={"rows": rows})}
    assert in_short(groups) == [
        ("How many times faster than a plain PyTorch loop?", "1.5, b", "4, c"),
        ("How many times faster than Lightning?", "9, d", "–"),
    ]
    assert in_short({}) == []


def test_every_question_is_one_that_the_benchmarks_answer():
    costs = read_costs(Path(__file__).parents[2] / "results" / "costs" / "cpu.json")
    assert len(in_short(costs.groups)) == len(QUESTIONS)


def test_groups_are_written_beside_each_other(tmp_path):
    path = tmp_path / "costs" / "cpu.json"
    assert read_costs(path).groups == {}
    write_group(path, "one", GROUP)
    write_group(path, "two", GROUP)
    write_group(path, "one", GROUP.model_copy(update={"rows": ROWS[:1]}))
    found = read_costs(path).groups
    assert list(found) == ["one", "two"]
    assert found["one"].rows == ROWS[:1]
    assert found["two"] == GROUP


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("{", "Invalid JSON"),
        ('{"groups": {"a": 1}}', r"groups\.a"),
        ({"ratio": [2, 1, 3]}, "lowest, median, highest"),
        ({"ratio": [1, 2]}, r"rows\.0\.ratio"),
        ({"ours": "fast"}, r"rows\.0\.ours"),
        ({"speed": 1}, "Unknown field 'speed'"),
    ],
)
def test_what_is_no_measurement_is_refused(tmp_path, change, place):
    path = tmp_path / "cuda.json"
    if isinstance(change, dict):
        write_group(path, "one", GROUP)
        content = json.loads(path.read_text())
        content["groups"]["one"]["rows"][0] |= change
        change = json.dumps(content)
    path.write_text(change)
    with pytest.raises(ValueError, match=place) as error:
        read_costs(path)
    assert command("cuda") in str(error.value)
    with pytest.raises(ValueError, match=place):  # nothing is written over it
        write_group(path, "one", GROUP)
    assert path.read_text() == change


def page(tmp_path, text):
    """A book beside a folder of results."""
    folder = tmp_path / "book"
    folder.mkdir()
    book = MiniBook(folder)
    book.add("alpha")
    book.configure(text, execute_notebooks="off")
    return book


def words(html):
    """The visible words of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


@pytest.mark.book
def test_page_shows_the_file_and_names_what_is_missing(tmp_path):
    write_group(tmp_path / "results" / "costs" / "cpu.json", "stacking", GROUP)
    peers = GROUP.model_copy(
        update={"rows": [ROWS[0].model_copy(update={"against": "plain loop"})]}
    )
    write_group(tmp_path / "results" / "costs" / "cpu.json", "peers", peers)
    text = "```{costs} cpu\n:groups: stacking later\n```\n\n```{costs} cuda\n```\n"
    text += "\n```{costs} cpu\n:short:\n```\n"
    book = page(tmp_path, text)
    built = book.build("-W", "--keep-going")
    assert built.returncode == 0, built.stdout
    html = (book.html / "intro.html").read_text()
    shown = words(html)
    assert "Stacking All at once. What Ours" in shown
    assert "2 (1.5 to 2.25)" in shown
    assert "2 cores, 1 thread, torch 2.9, 5 rounds, commit abc1234." in shown
    assert "later: not measured on cpu yet." in shown
    assert command("cpu", ["later"]) in shown
    assert "Nothing has been measured on cuda yet." in shown
    assert command("cuda") in shown
    assert (
        "Question Lowest Highest How many times faster than a plain PyTorch loop? 2 16"
        in shown
    )
    assert html.count('<details class="folded"') == 1
    assert '<details class="folded" open>' not in html
