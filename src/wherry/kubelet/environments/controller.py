"""Keeps the status of `Environment` objects true: builds what they say, and shows how far that is."""

import asyncio
import contextvars
import datetime

from wherry.client.client import Client
from wherry.controller.cache import Cache
from wherry.controller.clock import Clock
from wherry.controller.controller import Controller
from wherry.controller.requests import Request, Result
from wherry.kubelet.environments import builder, catalog, interpreters, kinds, recipe
from wherry.objects import conditions, errors, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

_PROGRESS_SECONDS = 1.0
"""Progress lines within this time become one write."""

_RETRY_SECONDS = 60.0


class EnvironmentReconciler:
    """Builds an Environment as soon as it is written, so that its first pod need not wait."""

    def __init__(self, client: Client, cache: Cache, builds: builder.Builder, clock: Clock) -> None:
        self._client = client
        self._cache = cache
        self._builds = builds
        self._clock = clock

    async def reconcile(self, request: Request) -> Result | None:
        """Build what the spec says and write the status."""
        environment = self._cache.get(request.namespace, request.name)
        if environment is None or metadata.is_deleting(environment):
            return None
        status = copied(environment.get("status") or {})
        before = copied(status)
        again: Result | None = Result(requeue_after_seconds=_RETRY_SECONDS)
        try:
            choice = catalog.for_environment(environment)
            built = self._builds.built(choice.recipe) or await self._build(environment, choice)
        except (interpreters.InterpreterMissingError, recipe.RecipeError, ValueError) as error:
            self._set(environment, status, ready="False", reason="InvalidSpec", message=str(error))
        except builder.BuildError as error:
            self._set(environment, status, ready="False", reason="BuildFailed", message=str(error))
        else:
            self._set(
                environment, status, ready="True", reason="Built", message="containers can start"
            )
            again = None
            at = datetime.datetime.fromtimestamp(builder.built_at(built), datetime.UTC)
            status |= {
                "hash": built.hash,
                "python": built.python,
                "path": str(built.root),
                "builtAt": metadata.format_time(at),
            }
        if status != before:
            await self._write(environment, status)
        return again

    def _set(
        self, environment: Object, status: Object, *, ready: str, reason: str, message: str
    ) -> None:
        now = self._clock.now()
        generation = int(environment["metadata"].get("generation") or 0)
        listed = status.setdefault("conditions", [])
        for kind, value in ((kinds.READY, ready), (kinds.BUILDING, "False")):
            conditions.set(
                listed,
                kind,
                value,
                reason=reason,
                message=message,
                now=now,
                generation=generation,
            )
        status["observedGeneration"] = generation

    async def _build(self, environment: Object, choice: catalog.Choice) -> builder.Built:
        progress = _Progress()
        writing = asyncio.get_running_loop().create_task(
            self._show(environment, progress), context=contextvars.Context()
        )
        try:
            return await self._builds.build(choice.recipe, progress.add)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _show(self, environment: Object, progress: "_Progress") -> None:
        """Write the newest line of progress, not more often than people read."""
        while True:
            line = await progress.next()
            status = copied(environment.get("status") or {})
            listed = status.setdefault("conditions", [])
            now = self._clock.now()
            for kind, value in ((kinds.READY, "False"), (kinds.BUILDING, "True")):
                conditions.set(listed, kind, value, reason="Building", message=line, now=now)
            await self._write(environment, status)
            await asyncio.sleep(_PROGRESS_SECONDS)

    async def _write(self, environment: Object, status: Object) -> None:
        try:
            await self._client.patch(
                kinds.ENVIRONMENTS,
                metadata.name(environment),
                {"status": status},
                subresource="status",
            )
        except errors.NotFoundError:
            # Deleted meanwhile; the build stays for who names the same content again.
            return


class _Progress:
    """The newest line, for one reader."""

    def __init__(self) -> None:
        self._line = ""
        self._fresh = asyncio.Event()

    def add(self, line: str) -> None:
        """Take a line."""
        self._line = line
        self._fresh.set()

    async def next(self) -> str:
        """Return the newest line once there is one that was not returned."""
        await self._fresh.wait()
        self._fresh.clear()
        return self._line


def controller(client: Client, cache: Cache, builds: builder.Builder, clock: Clock) -> Controller:
    """Return the controller of `Environment` objects."""
    reconciler = EnvironmentReconciler(client, cache, builds, clock)
    return Controller("environment", kinds.ENVIRONMENTS, reconciler, workers=2)
