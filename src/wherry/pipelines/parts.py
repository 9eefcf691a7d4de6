"""What works on pipelines, put together. It is large, and imported with the first of their objects or calls."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aiohttp import web

from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.metadata.store import Metadata
from wherry.pipelines.api import hosting
from wherry.pipelines.api.access import Access
from wherry.pipelines.api.call import NAMESPACE_OPTION, SHARED, Services
from wherry.pipelines.contents.opening import Contents
from wherry.pipelines.contents.signing import Signer
from wherry.pipelines.controller import (
    kept_pipeline,
    pipeline_run,
    recorder,
    scheduled_workflow,
)
from wherry.pipelines.controller.housekeeping import Housekeeper
from wherry.pipelines.controller.kept import Kept
from wherry.pipelines.controller.roots import Roots
from wherry.pipelines.definitions import downloads
from wherry.pipelines.definitions import kinds as definition_kinds
from wherry.pipelines.definitions.downloads import Downloads
from wherry.pipelines.definitions.index import Index
from wherry.pipelines.definitions.store import Definitions
from wherry.pipelines.history.listening import Listener
from wherry.pipelines.history.logs import Logs
from wherry.pipelines.history.operations import Operations
from wherry.pipelines.history.store import History
from wherry.pipelines.schedules import kinds as schedule_kinds
from wherry.pipelines.schedules.store import Schedules
from wherry.pipelines.staging.staged import Agent
from wherry.pipelines.workflows.wiring import Workflows

AGENT_OPTION: Final = "pipelines-agent-image"
"""Option: image that holds Wherry and what it needs for stores; wanted where pods run elsewhere."""
_NAMESPACE: Final = "default"
_ARTIFACTS: Final = "artifacts"
_LOGS: Final = "pipeline-logs"


class Parts:
    """What works on pipelines.

    Attributes:
        controllers: The controllers.
    """

    def __init__(self, manager: Manager, database: str | Path) -> None:
        """Make everything; nothing works yet.

        Args:
            manager: Gives client, caches, clock and surroundings.
            database: Where history and results are kept.

        Raises:
            ValueError: an option is not what it should be.
        """
        store, history = Metadata(database), History(database)
        manager.afterwards(store.close)
        manager.afterwards(history.close)
        around = manager.surroundings
        folder = around.folder(_ARTIFACTS) if around.local else None
        agent = Agent(around.options.get(AGENT_OPTION, ""))
        client = manager.client
        definitions = Definitions(
            client, manager.cache(definition_kinds.PIPELINES), Index.of_manager(manager)
        )
        schedules = Schedules(client, manager.cache(schedule_kinds.SCHEDULED_WORKFLOWS))
        kept = Kept(store, history, Logs(history, around.folder(_LOGS)))
        contents = Contents(client, around, folder)
        manager.afterwards(contents.close)
        roots = Roots(client, folder, agent)
        self._workflows = Workflows(manager, database, kept, roots, contents=contents)
        operations = Operations(client, history, store, self._workflows.runs)
        self._at_hand = Services(
            client=client,
            metadata=store,
            history=history,
            operations=operations,
            listener=Listener(client, store, kept.logs),
            contents=contents,
            signer=Signer(client, SHARED),
            access=Access(client),
            namespace=around.options.get(NAMESPACE_OPTION, _NAMESPACE),
            definitions=definitions,
            downloads=Downloads(around.options.get(downloads.OPTION, "")),
            schedules=schedules,
        )
        self._housekeeper = Housekeeper(manager, kept, roots, operations)
        self.controllers: Sequence[Controller] = (
            pipeline_run.controller(manager, kept, roots),
            recorder.controller(manager, history),
            kept_pipeline.controller(manager, definitions),
            scheduled_workflow.controller(manager, definitions),
            *self._workflows.controllers,
        )

    def application(self, secret: str) -> web.Application:
        """Return what answers the API's calls.

        Args:
            secret: By which a front proves that it may say who calls.
        """
        return hosting.application(self._at_hand, secret)

    def argo_application(self, secret: str) -> web.Application:
        """Return what answers the calls of Argo's clients.

        Args:
            secret: By which a front proves that it may say who calls.
        """
        return self._workflows.application(secret)

    async def keep_house(self) -> None:
        """Clear up after runs until cancelled."""
        await self._housekeeper.run()
