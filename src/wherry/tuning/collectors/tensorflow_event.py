"""What a trial writes for TensorBoard: scalars in event files.

Source: `pkg/metricscollector/v1beta1/tfevent-metricscollector` of kubeflow/katib (which scalar is
which metric).
"""

import posixpath
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning.access import Access, Line
from wherry.tuning.collector import Collector, Metric, Wanted
from wherry.tuning.collectors import sidecar, text
from wherry.tuning.observations import record

DEFAULT_PATH: Final = "/var/log/katib/tfevent/"
_SOURCE: Final = "spec.metricsCollectorSpec.source"


class TensorFlowEvent(Collector):
    """Reads the event files below a folder of the primary container."""

    kind: ClassVar[str] = "TensorFlowEvent"
    streams: ClassVar[bool] = True

    def default(self, spec: Object) -> None:
        """Fill in the path."""
        if not spec.get("source"):
            spec["source"] = {}
        place = spec["source"].get("fileSystemPath") or {}
        spec["source"]["fileSystemPath"] = {
            **place,
            "kind": place.get("kind") or "Directory",
            "path": place.get("path") or DEFAULT_PATH,
        }

    def validate(self, spec: Object) -> Sequence[Cause]:
        """Return what is wrong with the path; a format or expressions mean nothing."""
        causes = sidecar.path_causes(spec, "Directory")
        source = spec.get("source") or {}
        if (source.get("fileSystemPath") or {}).get("format"):
            field = f"{_SOURCE}.fileSystemPath.format"
            causes.append(Cause(field, "Forbidden: event files have a format of their own"))
        if text.formats_of(source):
            causes.append(Cause(f"{_SOURCE}.filter", "Forbidden: event files are no text"))
        return causes

    def prepare(self, wanted: Wanted, pod: Object) -> None:
        """Add the sidecar."""
        path = sidecar.path_of(wanted.source)
        sidecar.add(wanted, pod, "events", path.rstrip("/"))

    async def read(
        self, wanted: Wanted, pods: Sequence[Object], access: Access
    ) -> AsyncIterator[Metric]:
        """Yield the scalars that are asked for."""
        async for told in sidecar.told(pods[0], access):
            for line, said in told:
                for metric in _metrics(line, said, wanted.metrics):
                    yield metric


def _metrics(line: Line, said: Mapping[str, Any], names: Sequence[str]) -> Iterator[Metric]:
    for name in names:
        if is_meant(name, str(said.get("folder", "")), str(said.get("tag", ""))):
            yield Metric(
                name=name,
                value=str(said.get("value", "")),
                time=_time(said.get("time")) or line.time,
                step=said.get("step") if isinstance(said.get("step"), int) else None,
                mark=str(said["at"]),
            )


def is_meant(metric: str, folder: str, tag: str) -> bool:
    """Tell whether a scalar is what a metric names: a tag, or the end of a folder and a tag in it.

    The name may leave out the end of the tag, as Keras' ``_1``.
    """
    within, name = posixpath.split(metric)
    return tag == metric or (tag.startswith(name) and folder.endswith(within))


def _time(told: Any) -> str:
    is_time = isinstance(told, float) and 0 < told < 1e11
    return record.text(round(told * 1e6) * 1000) if is_time else ""
