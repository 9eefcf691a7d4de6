"""A picture as SVG."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from xml.sax.saxutils import escape

from wherry.pipelines.graph.model import Graph, State
from wherry.pipelines.picture import layout
from wherry.pipelines.picture.layout import Box, Describe, Drawing, Line
from wherry.pipelines.picture.tallies import Seen, Tally, tally

_MARGIN: Final = 20.0
_TITLE: Final = 40.0
_ROUND: Final = 7
_WORDS_OF: Final = {
    State.PENDING: ("", "waits"),
    State.RUNNING: ("▶", "running"),
    State.SUCCEEDED: ("✓", "succeeded"),
    State.FAILED: ("✗", "failed"),
    State.SKIPPED: ("○", "skipped"),
    State.CANCELED: ("■", "canceled"),
}
_STYLE: Final = """
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1c2430}
.paper{fill:#fff}.title{font-size:16px;font-weight:600}.about{font-size:11px;fill:#5b6675}
.box{fill:#fff;stroke:#9aa5b4;stroke-width:1.2}.graph{fill:#f5f7fa}
.behind{fill:#fff;stroke:#9aa5b4;stroke-width:1}
.line{fill:none;stroke:#8994a3;stroke-width:1.3}.loose{stroke-dasharray:5 4}.head{fill:#8994a3}
.SUCCEEDED{fill:#e3f5e8;stroke:#2e8b4f}.RUNNING{fill:#e2eefc;stroke:#2468c0}
.FAILED{fill:#fde6e4;stroke:#c0392b;stroke-width:2}.SKIPPED{fill:#f0f1f3;stroke-dasharray:4 3}
.CANCELED{fill:#fdf1dc;stroke:#b9770e}.graph.SUCCEEDED{fill:#f3faf5}.graph.RUNNING{fill:#f2f7fd}
.graph.FAILED{fill:#fef5f4}.mark{font-weight:700}
.mark-SUCCEEDED{fill:#2e8b4f}.mark-FAILED{fill:#c0392b}.mark-RUNNING{fill:#2468c0}
.mark-SKIPPED{fill:#7b8694}.mark-CANCELED{fill:#b9770e}
@media (prefers-color-scheme:dark){text{fill:#e4e8ee}.paper{fill:#14181f}.about{fill:#98a3b3}
.box,.behind{fill:#1d232d;stroke:#5b6675}.graph{fill:#181d26}.SUCCEEDED{fill:#17301f;stroke:#4cae6e}
.RUNNING{fill:#17273d;stroke:#5b9bea}.FAILED{fill:#3a1b1a;stroke:#e5675b}.SKIPPED{fill:#1b2027}
.CANCELED{fill:#352815;stroke:#d9982f}.graph.SUCCEEDED{fill:#16211b}.graph.RUNNING{fill:#151d28}
.graph.FAILED{fill:#241616}}
""".strip()


def svg(graph: Graph, describe: Describe, *, title: str, seen: Iterable[Seen] | None = None) -> str:
    """Return the picture of a graph, or of a run of it.

    Args:
        graph: What is drawn.
        describe: Gives the second line of a node: what it runs, when, over what.
        title: Stands above.
        seen: What has become of its nodes; None: the graph itself is drawn.

    Returns:
        An SVG document; light or dark as the reader wishes.
    """
    drawing = layout.lay_out(graph, describe)
    tallies = {} if seen is None else tally(seen)
    width = max(drawing.width, len(title) * 9.5, 160.0) + 2 * _MARGIN
    height = drawing.height + _TITLE + 2 * _MARGIN
    left = (width - drawing.width) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
        f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
        f'<text class="title" x="{_MARGIN:.0f}" y="{_MARGIN + 16:.0f}">{escape(title)}</text>',
        *_drawn(drawing, left, _MARGIN + _TITLE, tallies),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _drawn(drawing: Drawing, x: float, y: float, tallies: Mapping[str, Tally]) -> Iterator[str]:
    yield f'<g transform="translate({x:.1f} {y:.1f})">'
    for line in drawing.lines:
        yield _line(line)
    for box in drawing.boxes:
        yield from _box(box, tallies)
    yield "</g>"


def _line(line: Line) -> str:
    (x, y), *rest = line.points
    path = f"M{x:.1f} {y:.1f}"
    for next_x, next_y in rest:
        if next_x == x:
            path += f"V{next_y:.1f}"
        else:
            middle = (y + next_y) / 2
            path += f"C{x:.1f} {middle:.1f} {next_x:.1f} {middle:.1f} {next_x:.1f} {next_y:.1f}"
        x, y = next_x, next_y
    loose = " loose" if line.loose else ""
    return f'<path class="line{loose}" d="{path}" marker-end="url(#head)"/>'


def _box(box: Box, tallies: Mapping[str, Tally]) -> Iterator[str]:
    seen = tallies.get(box.path)
    yield f'<g transform="translate({box.x:.1f} {box.y:.1f})">'
    yield f"<title>{escape(_told(box, seen))}</title>"
    if box.node.loop:
        for shift in (8, 4):
            yield _rect("behind", box, shift)
    kind = "box" if box.inside is None else "box graph"
    yield _rect(f"{kind} {seen.state.value}" if seen is not None else kind, box, 0)
    yield from _texts(box, seen)
    if box.inside is not None:
        left = (box.width - box.inside.width) / 2
        yield from _drawn(box.inside, left, layout.HEADER + layout.PADDING, tallies)
    yield "</g>"


def _rect(kind: str, box: Box, shift: float) -> str:
    return (
        f'<rect class="{kind}" x="{shift:.0f}" y="{shift:.0f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{_ROUND}"/>'
    )


def _texts(box: Box, seen: Tally | None) -> Iterator[str]:
    about = box.about if seen is None else seen.words or box.about
    middle = box.inside is None and not about
    yield _text("", 12, 28 if middle else 20, _cut(box.node.name, box.width - 42))
    if about:
        yield _text("about", 12, 36, _cut(about, (box.width - 24) * 1.18))
    if seen is not None:
        mark, _ = _WORDS_OF[seen.state]
        kind = f"mark mark-{seen.state.value}"
        yield _text(kind, box.width - 22, 28 if middle else 20, mark)


def _text(kind: str, x: float, y: float, words: str) -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.0f}" y="{y:.0f}">{escape(words)}</text>'


def _cut(words: str, width: float) -> str:
    most = max(int(width / 7.3), 4)
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _told(box: Box, seen: Tally | None) -> str:
    lines = [box.node.name, box.about]
    if seen is not None:
        counts = [f"{count} {_WORDS_OF[state][1]}" for state, count in seen.states.items()]
        lines += [", ".join(counts) if seen.count > 1 else _WORDS_OF[seen.state][1], *seen.notes]
    return "\n".join(line for line in lines if line)
