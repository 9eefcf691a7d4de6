"""What a metrics collector is: where the metrics of a trial come from.

A collector is one file below `collectors/`. It says what a trial's pod must look like for it, and
reads metrics while the trial runs; `collecting` runs it, stores what it finds, and stops trials.
"""

import abc
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from wherry.objects.errors import Cause
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One value that a trial has reported.

    Attributes:
        name: Of the metric.
        value: As it was reported, text.
        time: RFC 3339 with fractions; empty: none was told, the time of arrival counts.
        step: Where the reporter says it; None: it does not.
        mark: Where it stands in what it is read from. Whoever reads that again from its start finds
            the same marks; empty: it cannot be read again.
    """

    name: str
    value: str
    time: str = ""
    step: int | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be collected of a trial.

    Attributes:
        trial: The Trial object.
        metrics: Names, that of the objective first.
        source: `spec.metricsCollector.source` with defaults; empty dictionary: none.
        container: Name of the primary container; empty: the pod's only one.
    """

    trial: Object
    metrics: tuple[str, ...]
    source: Object
    container: str = ""


class Collector(abc.ABC):
    """One kind of collector. Subclasses keep no state."""

    kind: ClassVar[str]
    """As users write it in ``collector.kind``."""
    streams: ClassVar[bool] = False
    """Whether metrics come while the trial runs, so that it can be stopped early."""
    reads_pods: ClassVar[bool] = True
    """Whether `read` is called for the trial's pods."""
    is_sent: ClassVar[bool] = False
    """Whether metrics are sent by the trial's pods to the database's API rather than read."""

    @abc.abstractmethod
    def validate(self, spec: Object) -> Sequence[Cause]:
        """Return what is wrong with a ``spec.metricsCollectorSpec`` (defaults are filled in)."""

    def default(self, spec: Object) -> None:
        """Fill in what is left out of a ``spec.metricsCollectorSpec``, in place."""
        del spec

    def prepare(self, wanted: Wanted, pod: Object) -> None:
        """Change the template of the trial's primary pod so that metrics can be had, in place."""
        del wanted, pod

    @abc.abstractmethod
    def read(self, wanted: Wanted, pods: Sequence[Object], access: Any) -> AsyncIterator[Metric]:
        """Yield metrics as they come, until there will be no more of the pod's present run.

        Called once for each primary pod, and again when its containers have been restarted.

        Args:
            wanted: What is asked for; others may be yielded, and are not stored.
            pods: The primary pod that is read; its primary container has begun.
            access: How pods are reached: logs, files, HTTP (`access.Access`).

        Raises:
            ApiError: It cannot be read now; it is tried again while the pod is there.
        """
