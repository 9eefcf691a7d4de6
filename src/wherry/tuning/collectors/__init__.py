"""The metrics collectors, a file each."""

from wherry.objects.requests import Object
from wherry.tuning.collector import Collector
from wherry.tuning.collectors.custom import Custom
from wherry.tuning.collectors.file import File
from wherry.tuning.collectors.none import Nothing
from wherry.tuning.collectors.prometheus import Prometheus
from wherry.tuning.collectors.push import Push
from wherry.tuning.collectors.stdout import StdOut
from wherry.tuning.collectors.tensorflow_event import TensorFlowEvent

ALL: tuple[Collector, ...] = (
    StdOut(),
    File(),
    TensorFlowEvent(),
    Prometheus(),
    Custom(),
    Push(),
    Nothing(),
)

USUAL = StdOut.kind
"""What a trial has whose spec names none."""

_BY_KIND = {collector.kind: collector for collector in ALL}


def get(kind: str) -> Collector | None:
    """Return the collector of a kind, as ``collector.kind`` says it; None where there is none."""
    return _BY_KIND.get(kind)


def of(trial: Object) -> Collector | None:
    """Return the collector of a Trial; None where there is none of its kind."""
    spec = (trial.get("spec") or {}).get("metricsCollector") or {}
    return get(str((spec.get("collector") or {}).get("kind") or USUAL))
