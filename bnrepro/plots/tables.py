"""Tables as Markdown and on a terminal."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as RichTable

Table = Sequence[Sequence[str]]  # the header first


def markdown(rows: Table) -> str:
    header, *body = rows
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *body)) + "\n"


def show(rows: Table, title: str) -> None:
    header, *body = rows
    table = RichTable(title=title)
    for i, name in enumerate(header):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in body:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
