"""Tables as Markdown and on a terminal."""

import pytest

from bnrepro.plots.tables import markdown, show

ROWS = [
    ["a number", "its square, as a table shows it"],
    *([str(i), str(i * i)] for i in range(11, 15)),
]


def test_markdown_is_a_table():
    assert markdown([["a", "b"], ["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |\n"


@pytest.mark.parametrize(("most", "shown"), [(None, 4), (4, 4), (2, 2)])
def test_a_terminal_shows_the_first_rows_and_how_many_are_left(most, shown, capsys):
    show(ROWS, "squares", most)
    printed = capsys.readouterr().out
    assert "squares" in printed
    assert [value in printed for value in ("121", "144", "169", "196")] == [
        i < shown for i in range(4)
    ]
    assert (f"{4 - shown} more rows in table.md" in printed) == (shown < 4)
