"""What works on Workflows, put together."""

from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.pipelines.api.access import Access
from wherry.pipelines.api.streaming import Streaming
from wherry.pipelines.contents.opening import Contents
from wherry.pipelines.controller.kept import Kept
from wherry.pipelines.controller.roots import Roots
from wherry.pipelines.workflows.archive.store import Archive
from wherry.pipelines.workflows.controller import cron_workflow, run_history, workflow
from wherry.pipelines.workflows.engines import Engines
from wherry.pipelines.workflows.runs import WorkflowRuns
from wherry.pipelines.workflows.server import hosting
from wherry.pipelines.workflows.server.calls import Services


class Workflows:
    """What works on Workflows.

    Attributes:
        controllers: The controllers.
        runs: What is done to those that are runs of KFP.
    """

    def __init__(
        self,
        manager: Manager,
        database: str | Path,
        kept: Kept,
        roots: Roots,
        *,
        contents: Contents,
    ) -> None:
        """Make everything; nothing works yet.

        Args:
            manager: Gives client, caches, clock and surroundings.
            database: Where workflows are kept that have ended.
            kept: What is known of runs.
            roots: Where artifacts go.
            contents: What is in them.

        Raises:
            ValueError: an option is not what it should be.
        """
        who = Engines(manager.surroundings.options)
        self._contents = contents
        self._client = manager.client
        self._kept = kept
        self._archive = Archive(database)
        manager.afterwards(self._archive.close)
        self.runs = WorkflowRuns(manager.client, self._archive)
        self.controllers: Sequence[Controller] = (
            workflow.controller(manager, kept, roots, self._archive, who=who),
            cron_workflow.controller(manager, who),
            run_history.controller(manager, kept, contents),
        )

    def application(self, secret: str) -> web.Application:
        """Return what answers the calls of Argo's clients.

        Args:
            secret: By which a front proves that it may say who calls.
        """
        at_hand = Services(
            client=self._client,
            access=Access(self._client),
            archive=self._archive,
            tasks=self._kept.tasks,
            logs=self._kept.logs,
            contents=self._contents,
            streaming=Streaming(),
        )
        return hosting.application(at_hand, secret)
