"""The report as one HTML page that needs no other file and no network."""

import base64
import os
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bnrepro.plots.report import slug

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #ccc; --dim: #555; --yes: #0b5c2e; --no: #9c2a00;
  --open: #6b5200; --stripe: #f6f6f6; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }}
h1, h2, h3 {{ line-height: 1.2; }}
h2 {{ border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 1rem; }}
h3 {{ margin-top: 2.5rem; }}
img {{ display: block; max-width: 100%; background: #fff; border-radius: 4px; margin: 0 auto; }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.85rem; width: 100%; }}
th, td {{ border-bottom: 1px solid var(--line); padding: 0.35rem 0.5rem; text-align: left;
  vertical-align: top; overflow-wrap: break-word; min-width: 2rem; }}
tbody tr:nth-child(even) {{ background: var(--stripe); }}
code {{ font-size: 0.9em; overflow-wrap: anywhere; }}
p.caption {{ color: var(--dim); font-size: 0.9rem; }}
.holds {{ color: var(--yes); }} .fails {{ color: var(--no); }} .open {{ color: var(--open); }}
@media screen and (prefers-color-scheme: dark) {{
  :root {{ --line: #444; --dim: #aaa; --yes: #7fd6a0; --no: #ff9d76; --open: #e5c55c;
    --stripe: #1d1d1d; }}
  body {{ background: #121212; color: #e4e4e4; }}
  a {{ color: #8ab8ff; }}
}}
@media print {{
  :root {{ color-scheme: light; }}
  body {{ font-size: 10pt; max-width: none; margin: 0; background: #fff; color: #000; }}
  table {{ font-size: 7.5pt; }} .table {{ overflow: visible; }}
  h2, h3 {{ break-after: avoid; }} tr, img {{ break-inside: avoid; }}
}}
</style>
</head>
<body>
"""
CLASSES = {  # by a verdict's first word
    "holds": "holds", "direction": "holds", "fails": "fails", "inconclusive": "open", "not": "open",
}  # fmt: skip
KINDS = {"png": "image/png", "svg": "image/svg+xml"}


def page(markdown: str, source: Path, target: Path) -> str:
    """The HTML of a Markdown page that lies in folder `source`, for a file in folder `target`.

    Figures are embedded, as SVG or PNG, whichever is smaller; links lead to where they led.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", slug(content.content))
        elif opening.type == "paragraph_open" and is_caption(content.children or []):
            opening.attrSet("class", "caption")
    for token in tokens:
        change(token.children or [], source, target)
    body = parser.renderer.render(tokens, parser.options, {})
    body = body.replace("<table>", '<div class="table"><table>')
    body = body.replace("</table>", "</table></div>")
    title = escape(markdown.partition("\n")[0].lstrip("# "))
    return f"{HEAD.format(title=title)}{body}</body>\n</html>\n"


def is_caption(tokens: Sequence[Token]) -> bool:
    """Whether a paragraph is emphasised from its beginning to its end."""
    marks = [i for i, token in enumerate(tokens) if token.type.startswith("em_")]
    return marks == [0, len(tokens) - 1]


def change(tokens: Iterable[Token], source: Path, target: Path) -> None:
    """Embed images, turn links, and mark verdicts by their first word."""
    before = None
    for token in tokens:
        if token.type == "image":
            token.attrSet("src", embedded(source / unquote(str(token.attrGet("src")))))
        elif token.type == "link_open":
            token.attrSet("href", turned(str(token.attrGet("href")), source, target))
        elif before is not None and before.type == "strong_open":
            word = token.content.partition(" ")[0]
            if word in CLASSES:
                before.attrSet("class", CLASSES[word])
        before = token


def turned(link: str, source: Path, target: Path) -> str:
    """A link between files, seen from another folder."""
    if link.startswith("#") or "://" in link:
        return link
    return os.path.relpath(source / link, target)


def embedded(png: Path) -> str:
    """The data of a figure, of its SVG where there is one and it is smaller."""
    files = [path for path in (png, png.with_suffix(".svg")) if path.exists()]
    path = min(files, key=lambda file: file.stat().st_size)
    data = base64.b64encode(path.read_bytes()).decode()
    return f"data:{KINDS[path.suffix[1:]]};base64,{data}"
