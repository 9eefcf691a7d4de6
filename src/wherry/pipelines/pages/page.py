"""Parts of pages. Pure: whatever a text holds, it is shown as a text."""

import html
from collections.abc import Iterable, Sequence
from typing import Any, Final

MOST_ROWS: Final = 1000
MOST_COLUMNS: Final = 100
_MOST_TEXT: Final = 2000
"""Characters of one value."""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE: Final = (
    "body{font:14px sans-serif;margin:1em}table{border-collapse:collapse}"
    "td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}td.n{text-align:right}"
    "svg{max-width:32em}iframe{border:0;width:100%;height:40em}"
)
_SIDE: Final = 400


def page(title: str, *parts: str) -> str:
    """Return a page.

    Args:
        title: Of it.
        parts: From this module.
    """
    shown = html.escape(title[:_MOST_TEXT])
    return (
        '<!doctype html><html><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{shown}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def heading(text: str) -> str:
    """Return a heading."""
    return f"<h3>{html.escape(text[:_MOST_TEXT])}</h3>"


def text(content: str) -> str:
    """Return a text as it stands."""
    return f"<pre>{html.escape(content)}</pre>"


def foreign(content: str) -> str:
    """Return a page that somebody else has made, in a frame in which nothing of it runs."""
    return f'<iframe sandbox="" srcdoc="{html.escape(content)}"></iframe>'


def table(heads: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table; of very many rows or columns the first, and how many there are."""
    left_out = len(rows) - MOST_ROWS
    note = f"<p>{left_out} more rows</p>" if left_out > 0 else ""
    head = "".join(f"<th>{_shown(each)}</th>" for each in heads[:MOST_COLUMNS])
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in rows[:MOST_ROWS])
    return f"<table><tr>{head}</tr>{body}</table>{note}"


def curve(points: Iterable[tuple[float, float]], *, across: str, up: str) -> str:
    """Return a curve in the square from 0 to 1.

    Args:
        points: Of it.
        across: What the first number of a point is.
        up: What the second is.
    """
    drawn = " ".join(f"{_place(x):.1f},{_SIDE - _place(y):.1f}" for x, y in points)
    frame = f'<rect width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>'
    line = f'<polyline points="{drawn}" fill="none" stroke="#1a73e8" stroke-width="2"/>'
    even = f'<line x1="0" y1="{_SIDE}" x2="{_SIDE}" y2="0" stroke="#ccc" stroke-dasharray="4"/>'
    box = f'viewBox="-2 -2 {_SIDE + 4} {_SIDE + 4}" role="img"'
    shown = html.escape(f"{up} (up) by {across} (across), each from 0 to 1")
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box}>{frame}{even}{line}</svg><p>{shown}</p>'


def _place(share: float) -> float:
    return min(max(share, 0.0), 1.0) * _SIDE


def _cells(row: Sequence[Any]) -> str:
    return "".join(
        f"<td{' class=n' if isinstance(each, int | float) else ''}>{_shown(each)}</td>"
        for each in row[:MOST_COLUMNS]
    )


def _shown(value: Any) -> str:
    return html.escape(str(value)[:_MOST_TEXT])
