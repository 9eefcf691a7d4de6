"""What a trial writes to a file: lines of text, or JSON objects a line each."""

import dataclasses
import json
import posixpath
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, ClassVar, Final

from wherry.objects import metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning.access import Access
from wherry.tuning.collector import Collector, Metric, Wanted
from wherry.tuning.collectors import sidecar, text
from wherry.tuning.expressions import Pairs
from wherry.tuning.observations import record

DEFAULT_PATH: Final = "/var/log/katib/metrics.log"
_SOURCE: Final = "spec.metricsCollectorSpec.source"


class File(Collector):
    """Reads a file of the primary container."""

    kind: ClassVar[str] = "File"
    streams: ClassVar[bool] = True

    def default(self, spec: Object) -> None:
        """Fill in path and format."""
        if not spec.get("source"):
            spec["source"] = {}
        place = spec["source"].get("fileSystemPath") or {}
        spec["source"]["fileSystemPath"] = {
            **place,
            "kind": place.get("kind") or "File",
            "path": place.get("path") or DEFAULT_PATH,
            "format": place.get("format") or "TEXT",
        }

    def validate(self, spec: Object) -> Sequence[Cause]:
        """Return what is wrong with path, format or expressions."""
        causes = sidecar.path_causes(spec, "File")
        source = spec.get("source") or {}
        form = (source.get("fileSystemPath") or {}).get("format")
        if form not in {"TEXT", "JSON"}:
            message = f"Unsupported value: {form!r}: supported values: TEXT, JSON"
            causes.append(Cause(f"{_SOURCE}.fileSystemPath.format", message))
        if form == "JSON" and text.formats_of(source):
            causes.append(Cause(f"{_SOURCE}.filter", "Forbidden: JSON is read without expressions"))
        return [*causes, *text.format_causes(spec)]

    def prepare(self, wanted: Wanted, pod: Object) -> None:
        """Add the sidecar."""
        sidecar.add(wanted, pod, "text", posixpath.dirname(sidecar.path_of(wanted.source)))

    async def read(
        self, wanted: Wanted, pods: Sequence[Object], access: Access
    ) -> AsyncIterator[Metric]:
        """Yield what is found in the file."""
        is_json = (wanted.source.get("fileSystemPath") or {}).get("format") == "JSON"
        formats, whose = text.formats_of(wanted.source), metadata.uid(wanted.trial)
        async for told in sidecar.told(pods[0], access):
            contents = [str(said.get("line", "")) for _, said in told]
            if is_json:
                found = [_of_json(content, wanted) for content in contents]
            else:
                pairs = await access.matcher.find(formats, contents, whose=whose)
                found = [_of_text(*each) for each in zip(contents, pairs, strict=True)]
            for (line, said), metrics in zip(told, found, strict=True):
                for metric in metrics:
                    time = metric.time or line.time
                    yield dataclasses.replace(metric, time=time, mark=str(said["at"]))


def _of_text(content: str, pairs: Pairs) -> Iterator[Metric]:
    time = text.time_of(content)
    for name, value in pairs:
        yield Metric(name=name, value=value, time=time)


def _of_json(content: str, wanted: Wanted) -> Iterator[Metric]:
    try:
        said = json.loads(content)
    except ValueError:
        return
    if not isinstance(said, dict):
        return
    step = said.get("global_step", said.get("step"))
    for name in wanted.metrics:
        value = said.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            yield Metric(
                name=name,
                value=str(value).strip(),
                time=_time(said.get("timestamp")),
                step=step if isinstance(step, int) else None,
            )


def _time(told: Any) -> str:
    """Return a timestamp, seconds since 1970 or a text, as RFC 3339; empty where it is neither."""
    if isinstance(told, str):
        try:
            told = float(told)
        except ValueError:
            return told if record.nanoseconds(told) is not None else ""
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 < told < 1e11:
        return record.text(round(told * 1e6) * 1000)
    return ""
