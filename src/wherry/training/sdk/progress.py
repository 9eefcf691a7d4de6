"""How far a training is, by what its code reports. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_COUNTERS: Final = (("step", "steps"), ("epoch", "epochs"))
_OWN: Final = frozenset({"rank", "at", *(name for pair in _COUNTERS for name in pair)})
_WIDTH: Final = 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is.

    Attributes:
        done: Steps or epochs; None where the code reports none.
        total: Of how many; None where it does not say.
        rate: Steps a second; 0 with fewer than two reports.
        values: What else was reported last, such as the loss.
    """

    done: float | None
    total: float | None
    rate: float
    values: Mapping[str, Any]

    @property
    def fraction(self) -> float | None:
        """From 0 to 1; None where the end is not known."""
        if self.done is None or not self.total:
            return None
        return min(1.0, max(0.0, self.done / self.total))

    @property
    def seconds_left(self) -> float | None:
        """Estimate; None where nothing can be said."""
        if self.done is None or not self.total or self.rate <= 0:
            return None
        return max(0.0, (self.total - self.done) / self.rate)

    def __str__(self) -> str:
        parts = []
        if self.fraction is not None:
            filled = round(self.fraction * _WIDTH)
            parts.append(f"{self.fraction:4.0%} |{'#' * filled}{'.' * (_WIDTH - filled)}|")
        if self.done is not None:
            parts.append(f"{self.done:g}" + (f"/{self.total:g}" if self.total else ""))
        if self.rate:
            parts.append(f"{self.rate:.3g}/s")
        if self.seconds_left:
            parts.append(f"{_clock(self.seconds_left)} left")
        return " ".join(
            [*parts, *(f"{name}={_short(value)}" for name, value in self.values.items())]
        )


def of(reports: list[dict[str, Any]]) -> Progress:
    """Return the progress that reports tell, those of the rank that spoke last.

    Args:
        reports: As `frames.metrics` gives them, in order.
    """
    if not reports:
        return Progress(None, None, 0.0, {})
    last = reports[-1]
    values = {name: value for name, value in last.items() if name not in _OWN}
    for counter, total in _COUNTERS:
        if isinstance(last.get(counter), int | float):
            own = [each for each in reports if each["rank"] == last["rank"] and counter in each]
            rate = _rate(own[0], last, counter)
            end = last.get(total)
            whole = float(end) if isinstance(end, int | float) else None
            return Progress(float(last[counter]), whole, rate, values)
    return Progress(None, None, 0.0, values)


def _rate(first: Mapping[str, Any], last: Mapping[str, Any], counter: str) -> float:
    seconds = float(last["at"]) - float(first["at"])
    return max(0.0, float(last[counter]) - float(first[counter])) / seconds if seconds > 0 else 0.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
