"""What `/metrics` tells of the gate, under the names that kube-apiserver gives them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wherry.apiserver.fairness.gate import Gate
from wherry.apiserver.fairness.levels import Level

_PREFIX = "apiserver_flowcontrol_"


def lines(gate: Gate) -> Iterator[str]:
    """Yield the lines of all families."""
    reading, writing = gate.inflight
    name = "apiserver_current_inflight_requests"
    yield from _head(name, "gauge", "Requests that run.")
    yield f'{name}{{request_kind="readOnly"}} {reading}'
    yield f'{name}{{request_kind="mutating"}} {writing}'
    counts = gate.counts
    by_schema = ("priority_level", "flow_schema")
    yield from _counter(
        "dispatched_requests_total", "Requests let in.", by_schema, counts.dispatched
    )
    labels = (*by_schema, "reason")
    yield from _counter("rejected_requests_total", "Requests refused.", labels, counts.rejected)
    yield from _waits(gate)
    levels = [level for level in gate.levels.values() if not level.exempt]
    yield from _gauge("current_inqueue_requests", "Requests that wait.", _sizes(levels))
    running = {level.name: level.executing for level in gate.levels.values()}
    yield from _gauge("current_executing_requests", "Requests that run.", running)
    used = {level.name: level.used for level in levels}
    yield from _gauge("current_executing_seats", "Seats taken.", used)
    seats = {level.name: level.seats for level in levels}
    yield from _gauge("nominal_limit_seats", "Seats of a level.", seats)


def _sizes(levels: Iterable[Level]) -> Mapping[str, int]:
    return {level.name: level.queues.size for level in levels}


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _labels(names: Iterable[str], values: Iterable[str]) -> str:
    # Names of objects of these kinds are path segments; quotes may still stand in them.
    escaped = (value.replace("\\", r"\\").replace('"', r"\"") for value in values)
    return ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True))


def _counter(
    name: str, text: str, names: Iterable[str], values: Mapping[Any, int]
) -> Iterator[str]:
    yield from _head(_PREFIX + name, "counter", text)
    for key, value in sorted(values.items()):
        yield f"{_PREFIX}{name}{{{_labels(names, key)}}} {value}"


def _gauge(name: str, text: str, values: Mapping[str, int]) -> Iterator[str]:
    yield from _head(_PREFIX + name, "gauge", text)
    for level, value in sorted(values.items()):
        yield f"{_PREFIX}{name}{{{_labels(('priority_level',), (level,))}}} {value}"


def _waits(gate: Gate) -> Iterator[str]:
    """Yield the time spent waiting, of all requests let in: most have not waited at all."""
    name = f"{_PREFIX}request_wait_duration_seconds"
    yield from _head(name, "summary", "Time in a queue.")
    for key, count in sorted(gate.counts.dispatched.items()):
        labels = _labels(("priority_level", "flow_schema"), key)
        yield f"{name}_sum{{{labels}}} {gate.counts.wait_seconds.get(key, 0.0):.6f}"
        yield f"{name}_count{{{labels}}} {count}"
