"""Rows of events; both event APIs show one table."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import Layout, column
from wherry.objects.requests import Object

_COLUMNS = (
    column("Last Seen", "Time since it happened last."),
    column("Type", "Normal or Warning."),
    column("Reason", "Why it happened, in one word."),
    column("Object", "Kind and name of what it is about."),
    column("Subobject", "Part of the object it is about.", priority=1),
    column("Source", "Who reports it.", priority=1),
    column("Message", "What happened."),
    column("First Seen", "Time since it happened first.", priority=1),
    column("Count", "How often it happened.", priority=1),
    column("Name", "Name of the event.", priority=1, form="name"),
)


def _either(event: Object, core: str, other: str) -> Any:
    """Return a field by its name in the core API, else by its name in ``events.k8s.io``."""
    value = event.get(core)
    return value if value is not None else event.get(other)


def _source(event: Object) -> str:
    source = _either(event, "source", "deprecatedSource") or {}
    component = source.get("component") or event.get("reportingComponent")
    component = component or event.get("reportingController") or ""
    host = source.get("host") or event.get("reportingInstance")
    return f"{component}, {host}" if host else component


def _times(event: Object, now: datetime.datetime) -> tuple[str, str, int]:
    series = event.get("series") or {}
    first = _either(event, "firstTimestamp", "deprecatedFirstTimestamp") or event.get("eventTime")
    last = _either(event, "lastTimestamp", "deprecatedLastTimestamp") or first
    count = _either(event, "count", "deprecatedCount") or 1
    if series:
        last, count = series.get("lastObservedTime"), series.get("count", 0)
    return texts.since(first, now), texts.since(last, now), count


def _event(event: Object, now: datetime.datetime) -> list[Any]:
    about = _either(event, "involvedObject", "regarding") or {}
    kind = str(about.get("kind", "")).lower()
    first, last, count = _times(event, now)
    return [
        last,
        event.get("type", ""),
        event.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        _source(event),
        str(_either(event, "message", "note") or "").strip(),
        first,
        count,
        event["metadata"]["name"],
    ]


_EVENTS = Layout(_COLUMNS, _event)
TABLES = {"events": _EVENTS, "events.events.k8s.io": _EVENTS}
