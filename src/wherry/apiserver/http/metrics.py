"""What `/metrics` tells, in Prometheus' text format. Counting must cost nearly nothing."""

import bisect
import resource
import sys
from collections import Counter
from pathlib import Path

_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
_STATM = Path("/proc/self/statm")


class Metrics:
    """Counters of requests and gauges of the process."""

    def __init__(self) -> None:
        self.watches = 0
        """Open watches."""
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
        lines = ["# TYPE apiserver_request_total counter"]
        for (verb, name, code), number in sorted(self._requests.items()):
            labels = f'verb="{verb.upper()}",resource="{name}",code="{code}"'
            lines.append(f"apiserver_request_total{{{labels}}} {number}")
        lines.append("# TYPE apiserver_request_duration_seconds histogram")
        for (verb, name), row in sorted(self._durations.items()):
            lines += _histogram(f'verb="{verb.upper()}",resource="{name}"', row)
        lines += [
            "# TYPE apiserver_longrunning_requests gauge",
            f'apiserver_longrunning_requests{{verb="WATCH"}} {self.watches}',
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes {_resident_bytes()}",
            "# TYPE process_cpu_seconds_total counter",
            f"process_cpu_seconds_total {_cpu_seconds():.3f}",
        ]
        return "\n".join(lines) + "\n"


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
