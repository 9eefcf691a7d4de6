"""Answers the walk's questions from a cluster."""

import asyncio
from typing import Any
from urllib.parse import quote, urlencode

from wherry.cli.session import Session
from wherry.cli.why.world import Question
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_LOG_LINES = 30
_EMPTY: dict[str, Any] = {"object": None, "log": []}
_OWNED = (
    kinds.PODS,
    kinds.SERVICES,
    kinds.PERSISTENT_VOLUME_CLAIMS,
    kinds.DEPLOYMENTS,
    kinds.REPLICA_SETS,
    kinds.STATEFUL_SETS,
    kinds.DAEMON_SETS,
    kinds.JOBS,
    kinds.CRON_JOBS,
)
"""Built-in kinds that others are made of; custom resources of the cluster are looked at besides."""


class Fetcher:
    """One command's answers; lists are read once, whoever asks for a part of them."""

    def __init__(self, opened: Session) -> None:
        self._session = opened
        self._lists: dict[tuple[Resource, str, str], asyncio.Task[list[Object]]] = {}
        self.refused: list[str] = []

    async def answer(self, question: Question) -> Any:
        """Return what is asked for; what may not be seen counts as not there, and is noted."""
        try:
            return await getattr(self, f"_{question.about}")(question)
        except (errors.NotFoundError, errors.MethodNotAllowedError):
            return _EMPTY.get(question.about, [])
        except (errors.ForbiddenError, errors.UnauthorizedError) as error:
            self.refused.append(error.message)
            return {} if question.about == "object" else []

    async def _object(self, question: Question) -> Object | None:
        return await self._session.client.get(question.resource, question.name, question.namespace)

    async def _objects(self, question: Question) -> list[Object]:
        return await self._list(question.resource, question.namespace, question.detail)

    async def _events(self, question: Question) -> list[Object]:
        fields = f"involvedObject.uid={question.name}"
        namespace = question.namespace or None
        listed = await self._session.client.list(kinds.EVENTS, namespace, fields=fields)
        return listed.items

    async def _log(self, question: Question) -> list[str]:
        previous = question.detail.startswith("previous:")
        container = question.detail.removeprefix("previous:")
        asked = {"container": container, "tailLines": str(_LOG_LINES), "limitBytes": "65536"}
        if previous:
            asked["previous"] = "true"
        path = kinds.PODS.path(question.namespace, question.name, "log")
        try:
            reading = self._session.transport.stream(f"{quote(path)}?{urlencode(asked)}")
            chunks = [chunk async for chunk in reading]
        except errors.ApiError:
            return []  # a container that has not written yet; there is nothing to tell
        return b"".join(chunks).decode(errors="replace").splitlines()

    async def _children(self, question: Question) -> list[tuple[Resource, Object]]:
        resources = [resource for resource in _OWNED if question.namespace or resource.namespaced]
        resources += await self._custom(namespaced=bool(question.namespace))
        listed = await asyncio.gather(
            *(self._list_or_nothing(resource, question.namespace) for resource in resources)
        )
        return [
            (resource, obj)
            for resource, objects in zip(resources, listed, strict=True)
            for obj in objects
            if question.name in {each.get("uid") for each in metadata.owner_references(obj)}
        ]

    async def _custom(self, *, namespaced: bool) -> list[Resource]:
        found: dict[str, Resource] = {}
        for resource in await self._session.resources.all():
            built_in = kinds.by_key(resource.key) is not None
            kept = "list" in resource.verbs and resource.key != environment_kinds.ENVIRONMENTS.key
            if kept and not built_in and (resource.namespaced or not namespaced):
                found.setdefault(resource.key, resource)
        return [*found.values()]

    async def _list_or_nothing(self, resource: Resource, namespace: str) -> list[Object]:
        try:
            return await self._list(resource, namespace, "")
        except errors.ApiError:
            return []  # a kind that cannot be listed owns nothing that could be told

    async def _list(self, resource: Resource, namespace: str, labels: str) -> list[Object]:
        key = (resource, namespace, labels)
        if key not in self._lists:
            reading = self._session.client.list(resource, namespace or None, labels=labels)
            self._lists[key] = asyncio.ensure_future(_items(reading))
        return await self._lists[key]


async def _items(reading: Any) -> list[Object]:
    return [*(await reading)]
