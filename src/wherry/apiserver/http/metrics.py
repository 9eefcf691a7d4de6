"""What `/metrics` tells, in Prometheus' text format. Counting must cost nearly nothing."""

import bisect
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
_STATM = Path("/proc/self/statm")
_FILES = Path("/proc/self/fd")
_STARTED = time.time()

Source = Callable[[], Iterable[str]]
"""Returns lines of further metrics, each family with its ``# HELP`` and ``# TYPE``."""


class Metrics:
    """Counters of requests and gauges of the process."""

    def __init__(self) -> None:
        self.watches = 0
        """Open watches."""
        self.sources: list[Source] = []
        """What others have to tell."""
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._durations: dict[tuple[str, str], list[float]] = {}

    def count(self, verb: str, resource_name: str, code: int, seconds: float | None) -> None:
        """Count a request.

        Args:
            verb: ``get``, ``list`` …
            resource_name: Plural name, empty for other paths.
            code: HTTP status.
            seconds: How long it took; None for streams.
        """
        self._requests[verb, resource_name, code] += 1
        if seconds is None:
            return
        row = self._durations.get((verb, resource_name))
        if row is None:
            # One number a bucket, then the sum.
            row = self._durations[verb, resource_name] = [0] * (len(_BUCKETS) + 2)
        row[bisect.bisect_left(_BUCKETS, seconds)] += 1
        row[-1] += seconds

    def text(self) -> str:
        """Return all metrics."""
        lines = head("apiserver_request_total", "counter", "Requests answered.")
        for (verb, name, code), number in sorted(self._requests.items()):
            labels = f'verb="{verb.upper()}",resource="{_escaped(name)}",code="{code}"'
            lines.append(f"apiserver_request_total{{{labels}}} {number}")
        lines += head("apiserver_request_duration_seconds", "histogram", "Time to an answer.")
        for (verb, name), row in sorted(self._durations.items()):
            lines += _histogram(f'verb="{verb.upper()}",resource="{_escaped(name)}"', row)
        lines += head("apiserver_longrunning_requests", "gauge", "Open streams.")
        lines.append(f'apiserver_longrunning_requests{{verb="WATCH"}} {self.watches}')
        for source in self.sources:
            lines += source()
        lines += _process()
        return "\n".join(lines) + "\n"


def head(name: str, kind: str, text: str) -> list[str]:
    """Return the lines with which a family of metrics begins."""
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _process() -> list[str]:
    found: list[tuple[str, str, str, float]] = [
        ("resident_memory_bytes", "gauge", "Memory held.", _resident_bytes()),
        ("cpu_seconds_total", "counter", "User and system time.", round(_cpu_seconds(), 3)),
        ("start_time_seconds", "gauge", "Start of the process, Unix time.", round(_STARTED, 2)),
        (
            "max_fds",
            "gauge",
            "Files that may be open.",
            resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        ),
    ]
    if _FILES.is_dir():
        count = sum(1 for _ in _FILES.iterdir())
        found.append(("open_fds", "gauge", "Files that are open.", count))
    return [
        line
        for name, kind, text, value in found
        for line in (*head(f"process_{name}", kind, text), f"process_{name} {value}")
    ]


def _histogram(labels: str, row: list[float]) -> list[str]:
    name, total, lines = "apiserver_request_duration_seconds", 0, []
    for bound, number in zip((*_BUCKETS, None), row[:-1], strict=True):
        total += int(number)
        le = "+Inf" if bound is None else f"{bound:g}"
        lines.append(f'{name}_bucket{{{labels},le="{le}"}} {total}')
    return [*lines, f"{name}_sum{{{labels}}} {row[-1]:.6f}", f"{name}_count{{{labels}}} {total}"]


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
