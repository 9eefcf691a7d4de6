"""Lines by which `wherry.report` tells values. Pure."""

import json
from collections.abc import Iterator
from typing import Final

from wherry.client.functions import in_pod
from wherry.tuning.collector import Metric
from wherry.tuning.observations import record

_STEPS: Final = ("step", "epoch")


def metrics(line: str) -> Iterator[Metric]:
    """Yield the values that a marked line tells; nothing where it tells something else."""
    try:
        told = json.loads(line.partition(in_pod.MARK)[2])
        values, at = told["report"], float(told["at"])
    except (ValueError, TypeError, KeyError):
        return
    if not isinstance(values, dict) or not 0 < at < 1e11:
        return
    steps = (values.get(name) for name in _STEPS)
    step = next((each for each in steps if isinstance(each, int)), None)
    for name, value in values.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            time = record.text(round(at * 1e6) * 1000)
            yield Metric(name=name, value=str(value), time=time, step=step)
