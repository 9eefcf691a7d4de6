"""Results that are kept for the next workflow that asks for the same (`memoize`), in ConfigMaps as upstream keeps them.

Source: argo-workflows after 4.1.2, ``workflow/controller/cache/configmap_cache.go``.
"""

import datetime
import json
import logging
import re
from typing import Any, Final

from wherry.client.client import Client
from wherry.metadata.records import Artifact, Execution, Values
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.workflows import calls, durations, kinds, variables
from wherry.pipelines.workflows.controller.engine import MEMO, NODE, WorkflowEngine
from wherry.pipelines.workflows.reading import any_text
from wherry.pipelines.workflows.scopes import EXIT_CODE, RESULT

logger = logging.getLogger("wherry.pipelines.workflows.memory")

_KEY: Final = re.compile(r"[-A-Za-z0-9]{1,250}")
_ARTIFACT: Final = "wherry"
"""Where our own form of an artifact stands beside upstream's."""
_TRIES: Final = 5
_DEFAULT_CACHE: Final = "workflow-cache"


class Memory:
    """Results that are kept."""

    def __init__(self, client: Client) -> None:
        """Take what it works with.

        Args:
            client: Reads and writes ConfigMaps.
        """
        self._client = client

    async def recall(
        self, engine: WorkflowEngine, run: Object, row: Execution, now: datetime.datetime
    ) -> tuple[Values | None, Object]:
        """Return what was kept for a node, if there is something, and what is told of it.

        Raises:
            ValueError: the key cannot be one, or the ConfigMap is none of these.
        """
        spot = engine.spot(row.path)
        known = calls.content(spot)
        assert known is not None, f"{row.path} was not entered"
        assert known.template is not None, f"{row.path} runs nothing"
        scope = engine.language.own_scope(spot, row.attempt)
        written = variables.fill(known.template.json.get("memoize") or {}, scope, strict=True)
        key = any_text(written.get("key") or "")
        if not _KEY.fullmatch(key):
            raise ValueError(f"memoize.key {key[:80]!r}: letters, digits and - make a key")
        cache = ((written.get("cache") or {}).get("configMap") or {}).get("name") or _DEFAULT_CACHE
        told = {"hit": False, "key": key, "cacheName": str(cache)}
        found = await self._found(str(cache), metadata.namespace(run))
        entry = _entry(found, key)
        age = written.get("maxAge")
        if entry is None or (age and _age(entry, now) > durations.seconds(str(age))):
            return None, told
        return _values(entry.get("outputs") or {}), {**told, "hit": True}

    async def keep_ended(self, engine: WorkflowEngine, run: Object, now: datetime.datetime) -> None:
        """Keep what steps and DAGs have given that have ended and asked for that."""
        for row, given in engine.to_keep():
            await self.keep(run, row, given, now)

    async def keep(
        self, run: Object, row: Execution, given: Values, now: datetime.datetime
    ) -> None:
        """Keep what a node has given, if it asked for that."""
        told: Object = row.properties.get(MEMO) or {}
        if not told or told.get("hit"):
            return
        moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        content = json.dumps(
            {
                "nodeID": row.properties.get(NODE),
                "outputs": _outputs(given),
                "creationTimestamp": moment,
                "lastHitTimestamp": moment,
            }
        )
        namespace, name = metadata.namespace(run), told["cacheName"]
        for _ in range(_TRIES):
            try:
                await self._write(name, namespace, told["key"], content)
                return
            except (errors.ConflictError, errors.AlreadyExistsError):
                continue
            except (errors.ApiError, ValueError) as error:
                # It is full, perhaps. The workflow goes on without.
                logger.warning("a result is not kept in %s/%s: %s", namespace, name, error)
                return

    async def _write(self, name: str, namespace: str, key: str, content: str) -> None:
        found = await self._found(name, namespace)
        if found is None:
            await self._client.create(
                core.CONFIG_MAPS,
                {
                    "metadata": {
                        "name": name,
                        "namespace": namespace,
                        "labels": {kinds.CONFIG_MAP_TYPE_LABEL: kinds.CONFIG_MAP_CACHE},
                    },
                    "data": {key: content},
                },
            )
            return
        change = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            "data": {key: content},
        }
        await self._client.patch(core.CONFIG_MAPS, name, change, namespace)

    async def _found(self, name: str, namespace: str) -> Object | None:
        try:
            found = await self._client.get(core.CONFIG_MAPS, name, namespace)
        except errors.NotFoundError:
            return None
        if metadata.labels(found).get(kinds.CONFIG_MAP_TYPE_LABEL) != kinds.CONFIG_MAP_CACHE:
            raise ValueError(
                f"ConfigMap {name!r} has no label {kinds.CONFIG_MAP_TYPE_LABEL}: "
                f"{kinds.CONFIG_MAP_CACHE}; results are kept only in those that have"
            )
        return found


def _entry(found: Object | None, key: str) -> Object | None:
    text = (found or {}).get("data", {}).get(key)
    if text is None:
        return None
    try:
        entry = json.loads(text)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _age(entry: Object, now: datetime.datetime) -> float:
    try:
        return (now - metadata.parse_time(str(entry.get("creationTimestamp")))).total_seconds()
    except ValueError:
        return float("inf")


def _outputs(given: Values) -> Object:
    made: Object = {
        "parameters": [
            {"name": name, "value": any_text(value)}
            for name, value in given.parameters.items()
            if not name.startswith("@")
        ],
        "artifacts": [
            {"name": name, _ARTIFACT: [each.id, each.type, each.uri, dict(each.metadata)]}
            for name, (each, *_) in given.artifacts.items()
        ],
    }
    if RESULT in given.parameters:
        made["result"] = given.parameters[RESULT]
    if EXIT_CODE in given.parameters:
        made["exitCode"] = given.parameters[EXIT_CODE]
    return {key: value for key, value in made.items() if value}


def _values(outputs: Object) -> Values:
    parameters: dict[str, Any] = {
        str(each["name"]): any_text(each.get("value"))
        for each in outputs.get("parameters") or ()
        if isinstance(each, dict) and "name" in each
    }
    for key, name in (("result", RESULT), ("exitCode", EXIT_CODE)):
        if key in outputs:
            parameters[name] = outputs[key]
    artifacts = {
        str(each["name"]): (_artifact(each),)
        for each in outputs.get("artifacts") or ()
        if isinstance(each, dict) and len(each.get(_ARTIFACT) or ()) == 4
    }
    return Values(parameters, artifacts)


def _artifact(entry: Object) -> Artifact:
    _, type_, uri, more = entry[_ARTIFACT]
    return Artifact(name=str(entry["name"]), type=str(type_), uri=str(uri), metadata=more)
