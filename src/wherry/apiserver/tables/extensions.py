"""Rows of what extends the API itself: definitions of custom resources, and API services."""

import datetime
from typing import Any

from wherry.apiserver.tables.layout import CREATED_AT, NAME, Layout, column, named
from wherry.objects import conditions
from wherry.objects.requests import Object


def _definition(obj: Object, now: datetime.datetime) -> list[Any]:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


def _available(obj: Object) -> str:
    condition = conditions.get(obj, "Available")
    if condition is None:
        return "Unknown"
    status = str(condition.get("status", "Unknown"))
    return status if status == "True" else f"{status} ({condition.get('reason', '')})"


def _api_service(obj: Object, now: datetime.datetime) -> list[Any]:
    service = (obj.get("spec") or {}).get("service")
    name = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    return [name, _available(obj)]


TABLES = {
    "customresourcedefinitions.apiextensions.k8s.io": Layout((NAME, CREATED_AT), _definition),
    "apiservices.apiregistration.k8s.io": named(
        column("Service", "The service that answers for this group version."),
        column("Available", "Whether it answers."),
        cells_of=_api_service,
    ),
}
