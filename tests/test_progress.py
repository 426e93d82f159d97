"""Lines of running chapters: on a terminal one each, elsewhere none."""

from __future__ import annotations

import io

from spectral_book.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream):
    """Run two chapters; return what the stream was written."""
    progress = Progress(stream)
    progress.show("alpha", 1, 4, "")
    progress.show("beta", 1, 2, "")
    progress.show("alpha", 3, 4, "net: 40%, 05:10 left")
    progress.show("alpha", 4, 4, "")
    with progress.end("alpha"):
        stream.write("alpha: done\n")
    progress.show("beta", 2, 2, "")
    with progress.end("beta"):
        stream.write("beta: done\n")
    assert not progress.bars
    return stream.getvalue()


def test_a_terminal_shows_cell_and_share_of_each_chapter():
    told = shown(Terminal())
    for line in (
        "  alpha: cell 1 of 4",
        "  beta: cell 1 of 2",
        "  alpha: cell 3 of 4, net: 40%, 05:10 left",
        "  beta: cell 2 of 2",
    ):
        assert line in told
    # What is printed for good comes between, and the other line is drawn again.
    assert "left" not in told.partition("cell 4 of 4")[2]
    assert "  beta: cell 1 of 2" in told.partition("alpha: done\n")[2]


def test_a_file_gets_only_what_is_printed_for_good():
    assert shown(io.StringIO()) == "alpha: done\nbeta: done\n"
