"""Pipelines as those who run them see them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wherry.controller.component import Component
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.metadata.store import Metadata
from wherry.objects.declared.kind import Kind, Version
from wherry.objects.requests import Object
from wherry.pipelines import admission, defaults, kinds
from wherry.pipelines.controller import pipeline_run
from wherry.pipelines.controller.roots import Roots
from wherry.pipelines.staging.staged import Agent

DATABASE_OPTION: Final = "metadata-database"
"""Option: URL of the metadata database; by default a SQLite file of the platform."""
AGENT_OPTION: Final = "pipelines-agent-image"
"""Option: image that holds Wherry and what it needs for stores; wanted where pods run elsewhere."""
_FOLDER: Final = "metadata"
_ARTIFACTS: Final = "artifacts"
_IN_MEMORY: Final = "sqlite://"

_RULES: Final[tuple[Object, ...]] = (
    {
        "apiGroups": [""],
        "resources": ["pods"],
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    },
    {
        "apiGroups": [""],
        "resources": ["persistentvolumeclaims"],
        "verbs": ["create", "delete", "get"],
    },
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get"]},
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
    validate=admission.validate,
)


def _database(manager: Manager) -> str | Path:
    told = manager.surroundings.options.get(DATABASE_OPTION)
    if told:
        return told
    folder = manager.surroundings.folder(_FOLDER)
    return _IN_MEMORY if folder is None else folder / "metadata.db"


def _controllers(manager: Manager) -> Sequence[Controller]:
    store = Metadata(_database(manager))

    manager.afterwards(store.close)
    around = manager.surroundings
    folder = around.folder(_ARTIFACTS) if around.local else None
    agent = Agent(around.options.get(AGENT_OPTION, ""))
    return (pipeline_run.controller(manager, store, Roots(manager.client, folder, agent)),)


COMPONENT: Final = Component(
    name="pipelines",
    kinds=(_RUNS,),
    controllers=_controllers,
    rules=_RULES,
)
