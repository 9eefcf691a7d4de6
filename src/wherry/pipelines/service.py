"""The pipelines service as its callers reach it: by the way through the API server, which says who calls.

The API server of a cluster that is not ours does not say it; there the service is called itself, at the URL
that the variable WHERRY_PIPELINES_SERVICE gives (of a forwarded port, say), with the caller's token.

What is asked here is beside upstream's API (``/apis/wherry.dev/v1``): lineage, and the cache. Answers
become the values of `wherry.metadata`.
"""

import contextlib
import dataclasses
import datetime
import os
import urllib.parse
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.client.connections import ConfigurationError, Connection
from wherry.client.transports import lines
from wherry.client.transports.http import HttpTransport
from wherry.metadata.lineage import Lineage
from wherry.metadata.records import CACHE_KEY, INPUT, Artifact, Event, Execution, Values
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines import caching
from wherry.pipelines.looking import words

_PROXY: Final = "/api/v1/namespaces/kubeflow/services/ml-pipeline:http/proxy"
_OWN: Final = "/apis/wherry.dev/v1"
_PAGE: Final = 200
MOST_TASKS: Final = 10_000
"""Tasks and artifacts of a run that are told of at once."""
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
VARIABLE: Final = "WHERRY_PIPELINES_SERVICE"
"""URL at which the service itself is called; see above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which results of a namespace are meant; what is empty does not matter.

    Attributes:
        namespace: Whose.
        pipeline: Of one pipeline only.
        task: Of one task only, by its name.
        run: Of one run only, by its uid.
        key: Of one cache key of the author's only, or of a fingerprint that begins so.
        before: Only of what had ended before that time.
    """

    namespace: str
    pipeline: str = ""
    task: str = ""
    run: str = ""
    key: str = ""
    before: datetime.datetime | None = None

    def request(self) -> Object:
        """Return it as the service wants it."""
        fields = {
            "namespace": self.namespace,
            "pipeline": self.pipeline,
            "name": self.task,
            "run_id": self.run,
            "key": self.key,
            "before": self.before.isoformat() if self.before else "",
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a step's result was taken from an earlier run, or why it ran.

    Attributes:
        path: The step's place in the graph.
        hit: Whether it was taken.
        reason: What the cache said.
        compared: Whose result was taken; of one that ran the same step of the last run before; None:
            there was none.
        differences: In what one that ran differs from that.
    """

    path: str
    hit: bool
    reason: str
    compared: Execution | None
    differences: tuple[str, ...]

    def __str__(self) -> str:
        """Return it in a line."""
        run = words.named([self.compared])[self.compared.run] if self.compared else ""
        if self.hit:
            return f"hit: {f'run {run}' if run else self.reason}"
        if run and self.differences:
            return f"miss: compared with run {run}: {', '.join(self.differences)}"
        return self.reason if self.reason == caching.OFF else f"miss: {self.reason}"


class Service:
    """Calls of it."""

    def __init__(self, transport: HttpTransport) -> None:
        """Take the way to the API server."""
        self._transport = transport

    async def lineage(self, **start: str | int) -> Lineage:
        """Return what something came from and what became of it; executions have their artifacts.

        Args:
            **start: ``artifact_id``, ``execution_id``, ``run_id``, or ``uri`` with ``namespace``; and
                ``up``, ``down`` and ``limit``, see `wherry.metadata.store.Metadata.lineage`.

        Raises:
            NotFoundError: there is no such thing, or it may not be seen.
            ApiError: the service cannot be asked.
        """
        return _lineage(await self._get("/lineage", start))

    async def of_run(self, run: str) -> Lineage:
        """Return what the tasks of a run read and made, and nothing beyond it.

        Where these are more than `MOST_TASKS`, the rest is left out, and it is said to be not complete.

        Args:
            run: Its uid.

        Raises:
            NotFoundError: there is no such run, none of its tasks has begun, or it may not be seen.
            ApiError: the service cannot be asked.
        """
        return await self.lineage(run_id=run, up=0, down=0, limit=MOST_TASKS)

    async def cached(self, chosen: Chosen, *, limit: int) -> list[Execution]:
        """List the executions whose results may be taken again, newest first.

        Args:
            chosen: Which.
            limit: How many at most.

        Raises:
            ApiError: the service cannot be asked, or refused.
        """
        found: list[Execution] = []
        more = ""
        while len(found) < limit:
            size = min(_PAGE, limit - len(found))
            asked = {**chosen.request(), "page_size": size, "page_token": more}
            answer = await self._get("/cache", asked)
            found += map(_execution, answer.get("executions") or ())
            more = str(answer.get("next_page_token") or "")
            if not more:
                break
        return found

    async def forget(self, chosen: Chosen) -> int:
        """Let results not be taken again; return of how many executions.

        Raises:
            ApiError: the service cannot be asked, or refused.
        """
        answer = await self._post("/cache:forget", chosen.request())
        return int(answer.get("forgotten") or 0)

    async def reasons(self, run: str) -> dict[str, Reason]:
        """Tell of the first 200 steps of a run whose results were taken, or not, and why; by path.

        Args:
            run: Its uid.

        Raises:
            NotFoundError: there is no such run, or it may not be seen.
            ApiError: the service cannot be asked.
        """
        answer = await self._get("/cache/reasons", {"run_id": run})
        return {made.path: made for made in map(_reason, answer.get("reasons") or ())}

    async def log(self, run: str, task: str, *, attempt: int | None = None) -> str:
        """Return what a step says, or has said.

        Args:
            run: Uid of its run.
            task: Its place in the graph, with or without ``root/``.
            attempt: Which, from 0; by default the latest.

        Raises:
            NotFoundError: there is no such step or attempt, or it has said nothing.
            BadRequestError: it has not begun.
            ApiError: the service cannot be asked, or refused.
        """
        asked = {"task": task, "attempt": "" if attempt is None else attempt}
        answer = await self._get(f"/runs/{urllib.parse.quote(run, safe='')}/log", asked)
        return str(answer.get("text") or "")

    async def follow(
        self, run: str, task: str, *, attempt: int | None = None, follow: bool = True
    ) -> AsyncIterator[str]:
        """Yield the lines that a step says, as it says them, or has said.

        Args:
            run: Uid of its run.
            task: Its place in the graph, with or without ``root/``.
            attempt: Which, from 0; by default the latest.
            follow: Whether to go on until the step has ended.

        Raises:
            NotFoundError: there is no such step or attempt, or it has said nothing.
            BadRequestError: it has not begun.
            ApiError: the service cannot be asked, or refused.
        """
        asked = {"task": task, "follow": "true" if follow else "false"}
        if attempt is not None:
            asked["attempt"] = str(attempt)
        path = f"/runs/{urllib.parse.quote(run, safe='')}/log/stream"
        async with self._way() as (transport, where):
            told = transport.stream(f"{where}{_OWN}{path}?{urllib.parse.urlencode(asked)}")
            async for line in lines.texts(told):
                yield line

    async def retry(self, run: str, tasks: Sequence[str] = ()) -> None:
        """Take a run up again that has ended.

        Args:
            run: Its uid.
            tasks: Places of tasks that are done again though they succeeded.

        Raises:
            BadRequestError: it has not ended, or there is nothing to do again, or no such task.
            ApiError: the service cannot be asked, or refused.
        """
        path = f"/runs/{urllib.parse.quote(run, safe='')}:retry"
        await self._post(path, {"from_tasks": [*tasks]})

    async def _get(self, path: str, query: Mapping[str, Any]) -> Object:
        asked = urllib.parse.urlencode({name: each for name, each in query.items() if each != ""})
        async with self._way() as (transport, where):
            answer: Object = await transport.read(f"{where}{_OWN}{path}?{asked}")
            return answer

    async def _post(self, path: str, body: Object) -> Object:
        async with self._way() as (transport, where):
            answer: Object = await transport.post(f"{where}{_OWN}{path}", body)
            return answer

    @contextlib.asynccontextmanager
    async def _way(self) -> AsyncIterator[tuple[HttpTransport, str]]:
        """Give what leads to the service, and where it is there."""
        url = os.environ.get(VARIABLE, "").rstrip("/")
        if not url:
            yield self._transport, _PROXY
            return
        itself = HttpTransport(_itself(self._transport.connection, url))
        try:
            yield itself, ""
        finally:
            await itself.close()


def _itself(connection: Connection, url: str) -> Connection:
    """Return the way to the service itself, with the token by which a cluster knows the caller.

    Raises:
        ConfigurationError: it would carry the token where others may read it.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ConfigurationError(
            f"{VARIABLE}: {url!r}: want https://…, or http:// at {', '.join(_LOOPBACK)}: it is sent "
            "your token"
        )
    return Connection(
        server=url,
        token=connection.token,
        token_file=connection.token_file,
        certificate_authority=connection.certificate_authority,
        insecure_skip_tls_verify=connection.insecure_skip_tls_verify,
        source=VARIABLE,
    )


def not_there(error: errors.ApiError) -> bool:
    """Return whether an error says that no pipelines service is there at all."""
    return isinstance(error, errors.NotFoundError | errors.ServiceUnavailableError) and (
        "ml-pipeline" in error.message
    )


def _lineage(answer: Object) -> Lineage:
    artifacts = {made.id: made for made in map(_artifact, answer.get("artifacts") or ())}
    events = tuple(map(_event, answer.get("events") or ()))
    executions = {made.id: made for made in map(_execution, answer.get("executions") or ())}
    for event in events:
        known = executions.get(event.execution)
        if known is not None and event.artifact in artifacts:
            executions[known.id] = _with(known, event, artifacts[event.artifact])
    return Lineage(
        artifacts=artifacts,
        executions=executions,
        events=events,
        complete=bool(answer.get("complete")),
    )


def _with(execution: Execution, event: Event, artifact: Artifact) -> Execution:
    """Return an execution with an artifact that an event says it has read or made."""
    if event.type == INPUT:
        return dataclasses.replace(execution, inputs=_grown(execution.inputs, event, artifact))
    return dataclasses.replace(execution, outputs=_grown(execution.outputs, event, artifact))


def _grown(values: Values, event: Event, artifact: Artifact) -> Values:
    listed = (*values.artifacts.get(event.name, ()), artifact)
    return Values(values.parameters, {**values.artifacts, event.name: listed})


def _artifact(told: Object) -> Artifact:
    return Artifact(
        id=int(told["artifact_id"]),
        namespace=told.get("namespace", ""),
        type=told.get("type", ""),
        name=told.get("name", ""),
        uri=told.get("uri", ""),
        metadata=told.get("metadata") or {},
        created=_milliseconds(told.get("created_at")),
    )


def _execution(told: Object) -> Execution:
    extra = {CACHE_KEY: told.get("cache_key"), words.RUN_NAME: told.get("run_name")}
    texts = ("namespace", "type", "name", "pipeline", "path", "state", "pod", "fingerprint")
    return Execution(
        id=int(told["execution_id"]),
        run=told.get("run_id", ""),
        attempt=int(told.get("attempt", 0)),
        error=told.get("error", ""),
        cached_from=int(told.get("cached_from", 0)),
        cache_reason=told.get("cache_reason", ""),
        created=_milliseconds(told.get("created_at")),
        started=_milliseconds(told.get("started_at")),
        ended=_milliseconds(told.get("ended_at")),
        inputs=Values(told.get("inputs") or {}),
        outputs=Values(told.get("outputs") or {}),
        properties={name: value for name, value in extra.items() if value},
        **{name: told.get(name, "") for name in texts},
    )


def _event(told: Object) -> Event:
    return Event(
        execution=int(told["execution_id"]),
        artifact=int(told["artifact_id"]),
        type=told["type"],
        name=told.get("name", ""),
        index=int(told.get("index", 0)),
    )


def _reason(told: Object) -> Reason:
    compared = told.get("compared")
    return Reason(
        path=told.get("path", ""),
        hit=bool(told.get("hit")),
        reason=told.get("reason", ""),
        compared=_execution(compared) if compared else None,
        differences=tuple(told.get("differences") or ()),
    )


def _milliseconds(text: str | None) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp() * 1000) if text else 0
