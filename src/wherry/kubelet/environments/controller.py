"""Keeps the status of `Environment` objects true: builds what they say, and shows how far that is."""

import asyncio
import contextvars
import datetime
from dataclasses import dataclass

from wherry.client.client import Client
from wherry.controller.cache import Cache
from wherry.controller.clock import Clock
from wherry.controller.controller import Controller
from wherry.controller.requests import Request, Result
from wherry.kubelet.environments import builder, choosing, interpreters, kinds, recipe
from wherry.objects import conditions, errors, metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object

_PROGRESS_SECONDS = 1.0
"""Progress lines within this time become one write."""

_RETRY_SECONDS = 60.0

_LOOK_SECONDS = 0.5
"""How often a build looks whether it is still wanted."""


_Asked = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class _Failure:
    asked: _Asked
    again_at: float


def _asked(environment: Object) -> _Asked:
    """Return what tells a new wish from an old one: the object, its spec, a request for a build."""
    generation = int(environment["metadata"].get("generation") or 0)
    token = metadata.annotations(environment).get(kinds.BUILD_ANNOTATION, "")
    return metadata.uid(environment), generation, token


class EnvironmentReconciler:
    """Builds an Environment as soon as it is written, so that its first pod need not wait."""

    def __init__(self, client: Client, cache: Cache, builds: builder.Builder, clock: Clock) -> None:
        self._client = client
        self._cache = cache
        self._builds = builds
        self._clock = clock
        self._failed: dict[str, _Failure] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Build what the spec says and write the status."""
        environment = self._cache.get(request.namespace, request.name)
        if environment is None or metadata.is_deleting(environment):
            self._failed.pop(request.name, None)
            return None
        waits = self._waits(environment)
        if waits > 0:
            return Result(requeue_after_seconds=waits)
        status = copied(environment.get("status") or {})
        before = copied(status)
        again: Result | None = Result(requeue_after_seconds=_RETRY_SECONDS)
        try:
            choice = choosing.for_environment(environment)
            built = self._builds.built(choice.recipe) or await self._build(environment, choice)
            if built is None:
                return None
        except (interpreters.InterpreterMissingError, recipe.RecipeError, ValueError) as error:
            self._set(environment, status, ready="False", reason="InvalidSpec", message=str(error))
        except builder.BuildError as error:
            self._set(environment, status, ready="False", reason="BuildFailed", message=str(error))
            # Progress was written meanwhile: what was read before says nothing of what stands there.
            before = {}
            again_at = self._clock.monotonic() + _RETRY_SECONDS
            self._failed[request.name] = _Failure(_asked(environment), again_at)
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

    def _waits(self, environment: Object) -> float:
        """Return for how many seconds what has failed is not tried again; a change is tried at once.

        Each write of the status comes back as a change of the object, which must not be one.
        """
        failure = self._failed.get(metadata.name(environment))
        if failure is None or failure.asked != _asked(environment):
            return 0.0
        return failure.again_at - self._clock.monotonic()

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
        _, _, token = _asked(environment)
        if token:
            status["answers"] = token

    async def _build(self, environment: Object, choice: choosing.Choice) -> builder.Built | None:
        """Return the build; None if the object was deleted or changed, which ends the build."""
        progress = _Progress()
        loop = asyncio.get_running_loop()
        building = loop.create_task(
            self._builds.build(choice.recipe, progress.add), context=contextvars.Context()
        )
        writing = loop.create_task(self._show(environment, progress), context=contextvars.Context())
        try:
            while not building.done():
                await asyncio.wait([building], timeout=_LOOK_SECONDS)
                if self._is_obsolete(environment):
                    return None
            return building.result()
        finally:
            for task in (building, writing):
                task.cancel()
            await asyncio.gather(building, writing, return_exceptions=True)

    def _is_obsolete(self, environment: Object) -> bool:
        now = self._cache.get("", metadata.name(environment))
        if (
            now is None
            or metadata.is_deleting(now)
            or metadata.uid(now) != metadata.uid(environment)
        ):
            return True
        return bool(now.get("spec") != environment.get("spec"))

    async def _show(self, environment: Object, progress: "_Progress") -> None:
        """Write the newest line of progress, not more often than people read."""
        while True:
            line = await progress.next()
            status = copied(environment.get("status") or {})
            listed = status.setdefault("conditions", [])
            now = self._clock.now()
            for kind, value in ((kinds.READY, "False"), (kinds.BUILDING, "True")):
                conditions.set(listed, kind, value, reason="Building", message=line, now=now)
            write = asyncio.ensure_future(self._write(environment, status))
            try:
                await asyncio.shield(write)
            finally:
                # A write that is cut off may still come in, after the one that says how it ended.
                await asyncio.wait([write])
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
