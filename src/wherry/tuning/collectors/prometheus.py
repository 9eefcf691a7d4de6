"""What a trial serves for Prometheus: its port is asked every now and then."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import aiohttp

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning.access import Access
from wherry.tuning.collector import Collector, Metric, Wanted

_FIELD: Final = "spec.metricsCollectorSpec.source.httpGet"
_EVERY_SECONDS: Final = 0.5
_ANSWER_SECONDS: Final = 5.0
_MAX_PAGE: Final = 8 << 20


class Prometheus(Collector):
    """Asks a port of the primary container; what is the same as the last time is no new value."""

    kind: ClassVar[str] = "PrometheusMetric"
    streams: ClassVar[bool] = True

    def default(self, spec: Object) -> None:
        """Fill in port and path."""
        if not spec.get("source"):
            spec["source"] = {}
        asked = spec["source"].get("httpGet") or {}
        spec["source"]["httpGet"] = {
            **asked,
            "port": asked.get("port") or 8080,
            "path": asked.get("path") or "/metrics",
        }

    def validate(self, spec: Object) -> Sequence[Cause]:
        """Return what is wrong with port and path."""
        asked = (spec.get("source") or {}).get("httpGet") or {}
        port, path, causes = asked.get("port"), str(asked.get("path") or ""), []
        if not isinstance(port, int | str) or not str(port) or not _is_port(port):
            message = f"Invalid value: {port!r}: must be a port from 1 to 65535, or the name of one"
            causes.append(Cause(f"{_FIELD}.port", message))
        if not path.startswith("/"):
            causes.append(Cause(f"{_FIELD}.path", f"Invalid value: {path!r}: must begin with /"))
        return causes

    async def read(
        self, wanted: Wanted, pods: Sequence[Object], access: Access
    ) -> AsyncIterator[Metric]:
        """Yield what changes, until the container has ended."""
        pod, before = pods[0], dict[tuple[str, str], str]()
        asked = wanted.source.get("httpGet") or {}
        url = _url(asked, pod, wanted.container)
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while not access.is_over(pod):
                for name, labels, value in await _page(session, url, asked):
                    if name in wanted.metrics and before.get((name, labels)) != value:
                        before[name, labels] = value
                        yield Metric(name=name, value=value)
                await asyncio.sleep(_EVERY_SECONDS)


async def _page(
    session: aiohttp.ClientSession, url: str, asked: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Return name, labels and value of all samples; none while nobody answers."""
    headers = {
        str(each.get("name")): str(each.get("value")) for each in asked.get("httpHeaders") or ()
    }
    try:
        # What is asked is the pod itself, whose certificate nobody vouches for.
        async with session.get(url, headers=headers, ssl=False, allow_redirects=False) as answer:
            if answer.status != 200:
                return []
            page = await answer.content.read(_MAX_PAGE)
    except (TimeoutError, aiohttp.ClientError, ValueError):
        return []
    return await asyncio.to_thread(samples, page.decode(errors="replace"))


def samples(page: str) -> list[tuple[str, str, str]]:
    """Return name, labels and value of the samples of a page, to the first line that is wrong."""
    from prometheus_client import parser  # noqa: PLC0415 - only where there is such a trial

    found: list[tuple[str, str, str]] = []
    with contextlib.suppress(ValueError):
        for family in parser.text_string_to_metric_families(page):
            found += [
                (sample.name, repr(sorted(sample.labels.items())), _text(sample.value))
                for sample in family.samples
            ]
    return found


def _text(value: float) -> str:
    return repr(value).removesuffix(".0")


def _url(asked: Mapping[str, Any], pod: Object, container: str) -> str:
    # Never the host that the user names: it is the control plane that asks.
    address = str((pod.get("status") or {}).get("podIP") or "127.0.0.1")
    host = f"[{address}]" if ":" in address else address
    scheme = "https" if str(asked.get("scheme") or "").upper() == "HTTPS" else "http"
    return f"{scheme}://{host}:{_port(asked.get('port'), pod, container)}{asked.get('path')}"


def _port(wanted: Any, pod: Object, container: str) -> int:
    if str(wanted).isdecimal():
        return int(wanted)
    for each in pod["spec"]["containers"]:
        for port in each.get("ports") or () if each["name"] == container or not container else ():
            if port.get("name") == wanted:
                return int(port["containerPort"])
    return 0


def _is_port(port: int | str) -> bool:
    return not str(port).lstrip("-").isdecimal() or 0 < int(port) < 65536
