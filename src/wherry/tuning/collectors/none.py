"""No metrics at all: the trial counts by its end alone."""

from typing import ClassVar

from wherry.tuning.collectors.push import Push


class Nothing(Push):
    """Reads nothing, and nothing is expected."""

    kind: ClassVar[str] = "None"
    streams: ClassVar[bool] = False
    is_sent: ClassVar[bool] = False
