"""Tables as Markdown and on a terminal."""

import sys

from rich.console import Console
from rich.table import Table as RichTable

from bnrepro.experiment import Table

ROWS = 12  # of a table on a terminal


def markdown(rows: Table, rule: str = "---:") -> str:
    """A Markdown table; columns behind the first to the right, unless `rule` says otherwise."""
    header, *body = rows
    lines = [header, ["---", *[rule] * (len(header) - 1)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def left_table(rows: Table) -> str:
    """A Markdown table of texts, to the left; a bar in a cell stays a bar."""
    return markdown([[str(cell).replace("|", "\\|") for cell in row] for row in rows], "---")


def show(rows: Table, title: str, most: int | None = None) -> None:
    """Print a table on the terminal; with `most`, its first rows and how many more there are."""
    header, *body = rows
    left = max(0, len(body) - most) if most else 0
    caption = f"{left} more rows in table.md" if left else None
    table = RichTable(title=title, caption=caption)
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in body[: len(body) - left]:
        table.add_row(*row)
    if sys.stdout is not None:  # closed by `>&-`
        Console(width=None if sys.stdout.isatty() else 200).print(table)
