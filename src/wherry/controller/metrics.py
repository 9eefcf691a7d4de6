"""What `/metrics` tells of the controllers' queues, under the names that client-go gives them."""

from collections.abc import Iterator, Mapping

from wherry.controller.queue import WorkQueue
from wherry.controller.requests import Request


def lines(queues: Mapping[str, WorkQueue[Request]]) -> Iterator[str]:
    """Yield lines in Prometheus' text format.

    Args:
        queues: By the name of their controller.
    """
    rows = sorted(queues.items())
    yield from _family("depth", "gauge", "Items that are ready.", {k: len(q) for k, q in rows})
    yield from _family("adds_total", "counter", "Items put in.", {k: q.added for k, q in rows})
    retried = {name: queue.retried for name, queue in rows}
    yield from _family("retries_total", "counter", "Items put in after a failure.", retried)


def _family(name: str, kind: str, text: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"# HELP workqueue_{name} {text}"
    yield f"# TYPE workqueue_{name} {kind}"
    for queue, value in values.items():
        yield f'workqueue_{name}{{name="{queue}"}} {value}'
