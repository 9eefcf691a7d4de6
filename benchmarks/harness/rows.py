"""The figures: one row a case, kept in one JSON file that later runs extend.

A ratio below 1 says that our side needs less than the peer; for rates (``1/s``) it is the other way
round. Ratios are what is worth comparing between machines; values are for the record.
"""

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

_COLUMNS = ("bench", "case", "value", "unit", "peer", "peer_value", "ratio")


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        case: What was done.
        value: Median over the rounds.
        unit: Of `value` and `peer_value`.
        peer: What it is compared with; empty for nothing.
        peer_value: The peer's median.
        bench: The bench's name; the runner sets it.
    """

    case: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    bench: str = ""

    @property
    def ratio(self) -> float | None:
        """Our value over the peer's."""
        if not self.peer_value:
            return None
        return round(self.value / self.peer_value, 4)

    def as_json(self) -> dict[str, object]:
        """Return the row as it stands in the file."""
        values = {**dataclasses.asdict(self), "ratio": self.ratio}
        for key in ("value", "peer_value"):
            values[key] = _rounded(values[key])
        return {column: values[column] for column in _COLUMNS}


def median(values: Iterable[float]) -> float:
    """Return the median of the rounds."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that ``percent`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def store(path: Path, rows: Sequence[Row]) -> None:
    """Write rows into the file; rows of benches that did not run now stay."""
    ran = {row.bench for row in rows}
    kept = [row for row in _read(path) if row.get("bench") not in ran]
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row) for row in [*kept, *(row.as_json() for row in rows)]]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def table(rows: Sequence[Row]) -> str:
    """Return rows as text for a terminal."""
    lines = [("bench", "case", "value", "unit", "peer", "of peer", "ratio")]
    for row in rows:
        of_peer = "" if row.peer_value is None else f"{row.peer_value:.4g}"
        ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
        lines.append((row.bench, row.case, f"{row.value:.4g}", row.unit, row.peer, of_peer, ratio))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _read(path: Path) -> list[dict[str, object]]:
    if not path.exists():
        return []
    found: list[dict[str, object]] = json.loads(path.read_text())
    return found


def _rounded(value: object) -> object:
    return float(f"{value:.5g}") if isinstance(value, float) else value
