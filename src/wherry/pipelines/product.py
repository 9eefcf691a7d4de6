"""Pipelines as those who run them see them.

What works on them, `parts`, is imported with the first of their objects or calls: by most platforms never.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from aiohttp import web

from wherry.controller import surroundings
from wherry.controller.component import Component
from wherry.controller.controller import Controller
from wherry.controller.late import LateControllers
from wherry.controller.manager import Manager
from wherry.objects import kinds as core
from wherry.objects.declared.kind import Kind, Version
from wherry.objects.declared.late import Late
from wherry.objects.requests import Object
from wherry.pipelines import defaults, kinds
from wherry.pipelines.api import roles, serving
from wherry.pipelines.definitions import declared as declared_definitions
from wherry.pipelines.definitions import kinds as definition_kinds
from wherry.pipelines.schedules import declared as declared_schedules
from wherry.pipelines.schedules import kinds as schedule_kinds
from wherry.pipelines.workflows import declared as declared_workflows
from wherry.pipelines.workflows import kinds as workflow_kinds
from wherry.pipelines.workflows import rights
from wherry.pipelines.workflows.server import serving as argo_serving

DATABASE_OPTION: Final = "metadata-database"
"""Option: URL of the metadata database; by default a SQLite file of the platform."""
_OPTIONS: Final = "pipelines-"
"""What the names of all other options begin with."""
_FOLDER: Final = "metadata"
_HOUSEKEEPING_SECONDS: Final = 5.0
"""After how long clearing up begins, where nothing else wants the parts of it before."""
_LOG = logging.getLogger("wherry.pipelines")
_IN_MEMORY: Final = "sqlite://"

_RULES: Final[tuple[Object, ...]] = (
    {
        "apiGroups": [""],
        "resources": ["pods"],
        "verbs": ["create", "delete", "get", "list", "patch", "watch"],
    },
    {
        "apiGroups": [""],
        "resources": ["persistentvolumeclaims"],
        "verbs": ["create", "delete", "get"],
    },
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get"]},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get"]},
)

_RUNS: Final = Kind(
    resource=kinds.PIPELINE_RUNS,
    versions=(
        Version(
            name=kinds.VERSION,
            spec=kinds.PipelineRunSpec,
            status=kinds.PipelineRunStatus,
            columns=kinds.COLUMNS,
            spec_required=True,
            description="A run of a pipeline that the compiler of Kubeflow Pipelines has written.",
        ),
    ),
    default=defaults.default,
    validate=Late("wherry.pipelines.admission", "validate"),
)


def _database(manager: Manager) -> str | Path:
    told = manager.surroundings.options.get(DATABASE_OPTION)
    if told:
        return told
    folder = manager.surroundings.folder(_FOLDER)
    found = _IN_MEMORY if folder is None else folder / "metadata.db"
    if not manager.surroundings.local:
        _LOG.warning(
            "history and results are kept in %s, which other replicas do not see; set %s",
            found,
            surroundings.variable(DATABASE_OPTION),
        )
    return found


class _Parts(Protocol):
    """What works on pipelines: `parts.Parts`."""

    controllers: Sequence[Controller]

    def application(self, secret: str) -> web.Application:
        """Return what answers the API's calls."""

    def argo_application(self, secret: str) -> web.Application:
        """Return what answers the calls of Argo's clients."""

    async def keep_house(self) -> None:
        """Clear up after runs until cancelled."""


class _Product:
    """Has what works on pipelines made when it is needed."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._database = _database(manager)
        self._is_made = asyncio.Event()

    @functools.cached_property
    def parts(self) -> _Parts:
        from wherry.pipelines.parts import Parts  # noqa: PLC0415 - see the module's docstring

        made = Parts(self._manager, self._database)
        self._is_made.set()
        return made

    def controllers(self) -> Sequence[Controller]:
        return self.parts.controllers

    def application(self, secret: str) -> web.Application:
        return self.parts.application(secret)

    def argo_application(self, secret: str) -> web.Application:
        return self.parts.argo_application(secret)

    async def keep_house(self) -> None:
        """Clear up after runs; where there were none yet, there is nothing to do."""
        known = isinstance(self._database, str) or self._database.exists()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HOUSEKEEPING_SECONDS if known else None):
                await self._is_made.wait()
        await self.parts.keep_house()


def _controllers(manager: Manager) -> Sequence[Controller]:
    product = _Product(manager)
    if any(name.startswith(_OPTIONS) for name in manager.surroundings.options):
        # What is wrong with one of them is said at the start.
        product.controllers()
    manager.cache(definition_kinds.PIPELINE_VERSIONS, without=definition_kinds.LARGE)
    serving.serve(manager, product.application)
    argo_serving.serve(manager, product.argo_application)
    manager.beside("history of runs", product.keep_house)
    late = LateControllers(manager, product.controllers)
    runs, workflows, pods = kinds.PIPELINE_RUNS, workflow_kinds.WORKFLOWS, core.PODS
    return (
        late.shape("pipelinerun", runs, owns=(pods,), workers=8),
        late.shape("pipelinerun-history", runs),
        late.shape("keptpipeline", definition_kinds.PIPELINES),
        late.shape("scheduledworkflow", schedule_kinds.SCHEDULED_WORKFLOWS, owns=(runs, workflows)),
        late.shape("workflow", workflows, owns=(pods,), workers=8),
        late.shape("cronworkflow", workflow_kinds.CRON_WORKFLOWS, owns=(workflows,)),
        late.shape("workflow-history", workflows),
    )


_FRONTS: Final = (
    roles.FRONT,
    roles.Front(argo_serving.NAMESPACE, argo_serving.NAME, "web", 2746),
)
COMPONENT: Final = Component(
    name="pipelines",
    kinds=(
        _RUNS,
        *declared_definitions.KINDS,
        declared_schedules.KIND,
        *declared_workflows.KINDS,
    ),
    controllers=_controllers,
    rules=(*_RULES, *roles.RULES, *rights.RULES),
    local_rules=roles.local_rules(_FRONTS),
    objects=functools.partial(roles.objects, _FRONTS),
    roles=functools.partial(roles.for_people, _FRONTS),
)
