"""Tables as Markdown."""

from collections.abc import Sequence

Table = Sequence[Sequence[str]]  # the header first


def markdown(rows: Table) -> str:
    header, *body = rows
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *body)) + "\n"
