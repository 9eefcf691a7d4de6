"""A run that a command names: its object, or what the service knows of it where that is gone."""

import contextlib
import re
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.cli import failures
from wherry.cli.session import Session
from wherry.metadata.lineage import Lineage
from wherry.metadata.records import Execution
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines import kinds, naming, status
from wherry.pipelines import service as pipelines_service
from wherry.pipelines.looking import comparing
from wherry.pipelines.looking.comparing import Side
from wherry.pipelines.service import VARIABLE, Service, not_there

_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run.

    Attributes:
        name: As its object is called; of one without object what it was called.
        uid: Its id.
        manifest: Its object; empty: it is gone.
        tasks: Its executions, with artifacts, in the order in which they became known.
        complete: False: it has more of them than the service tells of.
    """

    name: str
    uid: str
    manifest: Object
    tasks: tuple[Execution, ...]
    complete: bool

    @property
    def spec(self) -> Object:
        """Of its object; empty where that is gone."""
        return dict(self.manifest.get("spec") or {})

    @property
    def state(self) -> str:
        """How it stands."""
        return status.state(self.manifest) or (self.root.state if self.root else kinds.PENDING)

    @property
    def root(self) -> Execution | None:
        """The execution that is the whole run; None: it has not begun."""
        return next((each for each in self.tasks if each.path == comparing.ROOT), None)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What it is run with, defaults included once it has begun."""
        given = (self.spec.get("runtimeConfig") or {}).get("parameters") or {}
        return self.root.inputs.parameters if self.root else given

    def side(self) -> Side:
        """Return it as it is compared."""
        told: dict[str, Any] = self.manifest.get("status") or {}
        config = self.spec.get("runtimeConfig") or {}
        facts = {
            "state": self.state,
            "root": config.get("pipelineRoot"),
            "enableCache": self.spec.get("enableCache"),
            "message": told.get("message"),
            **{f"output {name}": value for name, value in (told.get("outputs") or {}).items()},
        }
        documents = {name: self.spec.get(name) for name in ("pipelineSpec", "platformSpec")}
        return Side(
            name=self.name,
            uid=self.uid,
            facts={name: each for name, each in facts.items() if each is not None},
            parameters=self.parameters,
            pipeline={name: each for name, each in documents.items() if each},
            tasks={each.path: each for each in self.tasks},
        )


async def find(opened: Session, word: str) -> FoundRun:
    """Return a run by its name, or by its id where its object is gone.

    Raises:
        CommandError: there is none, or the service is not there.
    """
    manifest: Object = {}
    try:
        manifest = await opened.client.get(kinds.PIPELINE_RUNS, word, opened.namespace)
    except errors.NotFoundError as error:
        if not _UID.fullmatch(word):
            raise failures.CommandError(
                f"there is no run {word!r} in namespace {opened.namespace!r} (of one that was "
                "deleted, give the id)"
            ) from error
    uid = naming.run_id(manifest) if manifest else word
    found = await _lineage(opened, uid, begun=not manifest)
    tasks = tuple(sorted(found.executions.values(), key=lambda each: each.id))
    most = pipelines_service.MOST_TASKS
    # It may also not be complete for what lies beyond the run, which nobody has asked for.
    complete = found.complete or len(found.executions) + len(found.artifacts) < most
    if not complete:
        print(
            f"wherry: run {word} has more tasks and artifacts than the {most} that can be looked at "
            f"together: only {len(tasks)} tasks are told of",
            file=sys.stderr,
        )
    return FoundRun(word, uid, manifest, tasks, complete)


async def _lineage(opened: Session, uid: str, *, begun: bool) -> Lineage:
    async with asking(opened) as service:
        try:
            return await service.of_run(uid)
        except errors.NotFoundError as error:
            if begun or not_there(error):
                raise
    return Lineage(artifacts={}, executions={}, events=(), complete=True)


@contextlib.asynccontextmanager
async def asking(opened: Session) -> AsyncIterator[Service]:
    """Give the pipelines service; that it is not there is said so that it helps.

    Raises:
        CommandError: it is not there.
    """
    try:
        yield Service(opened.transport)
    except errors.UnauthorizedError as error:
        raise failures.CommandError(
            f"the pipelines service does not know who calls ({error.message}); on a cluster, forward "
            f"its port and set {VARIABLE}, with a kubeconfig that has a token"
        ) from error
    except errors.ApiError as error:
        if not not_there(error):
            raise
        raise failures.CommandError(
            f"the pipelines service cannot be reached ({error.message}); beside a cluster, "
            "`wherry controllers` serves it where WHERRY_PIPELINES_API_ADDRESS says"
        ) from error
