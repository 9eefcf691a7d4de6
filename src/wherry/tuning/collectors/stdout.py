"""What a trial prints or gives to `wherry.report`: its log is followed, nothing is added to its pod."""

import dataclasses
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import ClassVar

from wherry.client.functions import in_pod
from wherry.objects import metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning.access import Access, Line
from wherry.tuning.collector import Collector, Metric, Wanted
from wherry.tuning.collectors import reported, sidecar, text
from wherry.tuning.expressions import Pairs


class StdOut(Collector):
    """Reads the primary container's output, line by line."""

    kind: ClassVar[str] = "StdOut"
    streams: ClassVar[bool] = True

    def validate(self, spec: Object) -> Sequence[Cause]:
        """Return what is wrong with its expressions."""
        return text.format_causes(spec)

    def prepare(self, wanted: Wanted, pod: Object) -> None:
        """Name the log as clients of Katib ask for it, whose collector is a container."""
        if wanted.container:
            annotations = pod.setdefault("metadata", {}).setdefault("annotations", {})
            annotations[metadata.LOG_ALIASES] = f"{sidecar.NAME}={wanted.container}"

    async def read(
        self, wanted: Wanted, pods: Sequence[Object], access: Access
    ) -> AsyncIterator[Metric]:
        """Yield what is found in the output, to its end."""
        formats, whose = text.formats_of(wanted.source), metadata.uid(wanted.trial)
        async for lines in access.lines(pods[0], wanted.container):
            said = [line.text for line in lines]
            found = await access.matcher.find(formats, said, whose=whose)
            for line, pairs in zip(lines, found, strict=True):
                for metric in _metrics(line, pairs):
                    yield metric


def _metrics(line: Line, pairs: Pairs) -> Iterator[Metric]:
    if in_pod.MARK in line.text:
        for metric in reported.metrics(line.text):
            yield dataclasses.replace(metric, mark=line.time)
        return
    time = text.time_of(line.text) or line.time
    for name, value in pairs:
        yield Metric(name=name, value=value, time=time, mark=line.time)
