"""What `/metrics` tells of experiments and trials, under Katib's names.

Counted from what is seen to change, so that nothing has to be held back for it: Katib keeps each
deleted experiment by a finalizer until it has counted it.

Source: kubeflow/katib 0.19, ``pkg/controller.v1beta1/{experiment,trial}/util/prometheus_metrics.go``.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from wherry.controller.cache import Cache
from wherry.controller.manager import Manager
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import kinds

_ENDS: Final = {
    kinds.SUCCEEDED: "succeeded",
    kinds.FAILED: "failed",
    kinds.METRICS_UNAVAILABLE: "metrics_unavailable",
    kinds.EARLY_STOPPED: "early_stopped",
}


class _Kind:
    """Counts the objects of a kind."""

    def __init__(self, cache: Cache, name: str, ends: tuple[str, ...]) -> None:
        self._cache = cache
        self._name = name
        # With all that may be counted: what is nought is told too.
        self._totals: dict[str, Counter[str]] = {
            each: Counter() for each in ("created", "deleted", *(_ENDS[end] for end in ends))
        }

    def hear(self, old: Object | None, new: Object | None) -> None:
        """Count a change."""
        if new is None:
            assert old is not None
            self._totals["deleted"][metadata.namespace(old)] += 1
        elif old is not None:
            before, after = _true(old), _true(new)
            if before == after:
                return
            namespace = metadata.namespace(new)
            if not before:
                self._totals["created"][namespace] += 1
            for type_ in after - before:
                total = self._totals.get(_ENDS.get(type_, ""))
                if total is not None:
                    total[namespace] += 1

    def lines(self) -> Iterator[str]:
        """Yield lines in Prometheus' text format."""
        for event, counts in self._totals.items():
            name = f"katib_{self._name}_{event}_total"
            said = event.replace("_", " ")
            yield from _head(name, "counter", f"The total number of {said} {self._name}s.")
            for namespace, count in sorted(counts.items()):
                yield f'{name}{{namespace="{namespace}"}} {count}'
        name = f"katib_{self._name}s_current"
        yield from _head(name, "gauge", f"The number of {self._name}s that there are now.")
        current = Counter((metadata.namespace(each), _state(each)) for each in self._cache.list())
        for (namespace, state), count in sorted(current.items()):
            yield f'{name}{{namespace="{namespace}",status="{state}"}} {count}'


def measure(manager: Manager) -> None:
    """Have a manager's `/metrics` tell of experiments and trials."""
    trial_ends = (*_ENDS,)
    for resource, name, ends in (
        (kinds.EXPERIMENTS, "experiment", trial_ends[:2]),
        (kinds.TRIALS, "trial", trial_ends),
    ):
        counted = _Kind(manager.cache(resource), name, ends)
        manager.listen(resource, counted.hear)
        manager.measure(counted.lines)


def _conditions(obj: Object) -> list[dict[str, Any]]:
    return (obj.get("status") or {}).get("conditions") or []


def _true(obj: Object) -> set[str]:
    return {each["type"] for each in _conditions(obj) if each.get("status") == "True"}


def _state(obj: Object) -> str:
    held = _conditions(obj)
    return str(held[-1]["type"]) if held else "Unknown"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
