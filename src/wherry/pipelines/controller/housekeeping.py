"""What is left of deleted runs goes, and runs that the rules let go are deleted.

Each step may be cut off and is done again: what a run was deleted for stands in the history until
nothing is left.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Sequence
from typing import Final

from wherry.controller import apply
from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.metadata.errors import DatabaseError
from wherry.metadata.lists import Filter
from wherry.metadata.records import PIPELINE_RUN
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.pipelines import kinds, naming
from wherry.pipelines.controller import recorder
from wherry.pipelines.controller.engine import milliseconds
from wherry.pipelines.controller.kept import Kept
from wherry.pipelines.controller.removing import Remover
from wherry.pipelines.controller.roots import Roots
from wherry.pipelines.definitions.kinds import SHARED
from wherry.pipelines.history import retention
from wherry.pipelines.history.operations import Operations
from wherry.pipelines.history.records import Deletion
from wherry.pipelines.history.retention import Rule, RulesError

logger = logging.getLogger("wherry.pipelines.housekeeping")

EVERY_SECONDS: Final = 60.0
"""How often the rules are looked at."""
_SOON_SECONDS: Final = 1.0
"""How soon a deletion is looked at again that waits for pods to end."""
_REMEMBERED_SECONDS: Final = 24 * 3600
"""How long the ids of deleted runs are kept: what is older than that is in no cache."""
_AT_ONCE: Final = 100


class Housekeeper:
    """Clears up after runs."""

    def __init__(
        self,
        manager: Manager,
        kept: Kept,
        roots: Roots,
        operations: Operations,
        *,
        common: str = SHARED,
    ) -> None:
        """Take what it works with.

        Args:
            manager: Gives client, caches, clock and recorder.
            kept: What is known of runs.
            roots: Where their artifacts are.
            operations: Delete runs.
            common: Namespace whose rules hold where there are no others.
        """
        self._manager = manager
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("pipeline-retention")
        self._runs = manager.cache(kinds.PIPELINE_RUNS)
        self._workflows = manager.cache(kinds.WORKFLOWS)
        self._kept = kept
        self._history = kept.history
        self._remover = Remover(manager.client, roots)
        self._operations = operations
        self._common = common
        self._compared = False
        self._rules_due = 0.0
        """When the rules are looked at again, by the monotonic clock: deletions are looked at more often."""

    async def run(self) -> None:
        """Clear up until cancelled."""
        while True:
            pause = EVERY_SECONDS
            if self._history.is_there():
                try:
                    pause = await self.sweep()
                except (DatabaseError, errors.ApiError, OSError) as error:
                    logger.warning("clearing up after runs is tried again: %s", error)
                except Exception:  # of one sweep: the next one may go well
                    logger.exception("clearing up after runs is tried again")
            await self._wait(pause)

    async def sweep(self) -> float:
        """Clear up once; return after how many seconds there is more to do."""
        self._history.deleted.clear()
        if not self._compared:
            await self._compare()
            self._compared = True
        expired = 0
        if self._clock.monotonic() >= self._rules_due:
            expired = await self._expire()
            self._rules_due = self._clock.monotonic() + (0 if expired else EVERY_SECONDS)
        left = await self._finish_all()
        now = milliseconds(self._clock.now())
        await self._history.forget_deletions(now - _REMEMBERED_SECONDS * 1000)
        return _SOON_SECONDS if left or expired else EVERY_SECONDS

    async def _wait(self, seconds: float) -> None:
        waits = {
            asyncio.ensure_future(self._history.deleted.wait()),
            asyncio.ensure_future(self._clock.sleep(seconds)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _compare(self) -> None:
        """Have it be noted which objects went while nobody looked."""
        after = ""
        while part := await self._history.present(after):
            for uid, namespace, name in part:
                if self._present(namespace, name, uid) is None:
                    # Whichever it was.
                    self._manager.request(recorder.NAME, Request(namespace, name))
                    self._manager.request(recorder.OF_WORKFLOWS, Request(namespace, name))
            after = part[-1][0]

    def _present(self, namespace: str, name: str, uid: str) -> tuple[Resource, Object] | None:
        """Return an object that is a run, and what it is."""
        caches = ((kinds.PIPELINE_RUNS, self._runs), (kinds.WORKFLOWS, self._workflows))
        for resource, cache in caches:
            found = cache.get(namespace, name)
            if found is not None and metadata.uid(found) == uid:
                return resource, found
        return None

    # What deleted runs have left.

    async def _finish_all(self) -> int:
        """Take away what deleted runs have left; return how many of them wait for something to end."""
        left = stuck = 0
        # However many cannot be finished, those after them are.
        while part := await self._history.deletions(_AT_ONCE, skip=left + stuck):
            for deletion in part:
                try:
                    left += not await self._finish(deletion)
                except (errors.ApiError, OSError, ValueError) as error:
                    logger.warning("what run %s has left stays for now: %s", deletion.run_id, error)
                    stuck += 1
        return left

    async def _finish(self, deletion: Deletion) -> bool:
        """Take away what one run has left; return whether nothing is left."""
        if not await self._is_still(deletion):
            return False
        if not deletion.planned:
            deletion = await self._planned(deletion)
            await self._history.plan_deletion(deletion)
        await self._kept.tasks.delete_run(deletion.run_id)
        if not await self._remover.remove(deletion):
            return False
        await self._kept.logs.forget(deletion.run_id)
        await self._history.end_deletion(deletion.run_id)
        return True

    async def _is_still(self, deletion: Deletion) -> bool:
        """Return whether nothing of a run goes on; have its object go where it is there."""
        present = self._present(deletion.namespace, deletion.name, deletion.object_uid)
        if present is not None:
            resource, found = present
            if not metadata.is_deleting(found):
                await apply.delete_if_present(self._client, resource, found)
            return False
        labels = f"{kinds.UPSTREAM_RUN_LABEL}={naming.label(deletion.run_id)}"
        pods = await self._client.list(core.PODS, deletion.namespace, labels=labels, limit=1)
        return not pods.items

    async def _planned(self, deletion: Deletion) -> Deletion:
        """Return a deletion with what goes and what stays."""
        # From here on nobody takes the results of its steps.
        chosen = Filter(namespace=deletion.namespace, run=deletion.run_id)
        await self._kept.tasks.forget_cached(chosen)
        own, shared = await self._kept.tasks.own_artifacts(deletion.run_id)
        root = deletion.pipeline_root or await self._root(deletion)
        if not root:
            return dataclasses.replace(deletion, planned=True)
        folder = naming.run_root(root, deletion.pipeline_name, deletion.run_id)
        base = root.partition("?")[0].rstrip("/")
        made = {each.uri for each in own if each.uri.startswith(f"{base}/")}
        others = sorted(uri for uri in made if not uri.startswith(f"{folder}/"))
        return dataclasses.replace(
            deletion,
            pipeline_root=root,
            planned=True,
            remove=(folder, *others),
            keep=tuple(sorted({each.uri for each in shared})),
        )

    async def _root(self, deletion: Deletion) -> str:
        """Return where the artifacts of a run are by what its steps noted: a Workflow does not say."""
        own = Filter(namespace=deletion.namespace, type=PIPELINE_RUN, name=deletion.run_id)
        found = (await self._kept.tasks.contexts(own, limit=1)).items
        return str(found[0].properties.get("pipelineRoot") or "") if found else ""

    # Rules.

    async def _expire(self) -> int:
        """Delete runs that the rules let go; return of how many it may be more."""
        deleted = 0
        default = await self._rules(self._common) or ()
        for namespace in await self._history.namespaces():
            own = await self._rules(namespace)
            for rule in default if own is None else own:
                try:
                    deleted += await self._expire_by(namespace, rule)
                except (DatabaseError, errors.ApiError) as error:
                    # Other namespaces' rules hold all the same.
                    logger.warning("a rule of namespace %s is tried again: %s", namespace, error)
        return deleted

    async def _expire_by(self, namespace: str, rule: Rule) -> int:
        now = milliseconds(self._clock.now())
        found = await self._history.expired(namespace, rule, now=now, limit=_AT_ONCE)
        return sum([await self._operations.expire(run_id) for run_id in found])

    async def _rules(self, namespace: str) -> Sequence[Rule] | None:
        """Return the rules of a namespace; None: it has none of its own."""
        try:
            found = await self._client.get(core.CONFIG_MAPS, retention.CONFIG_MAP, namespace)
        except errors.NotFoundError:
            return None
        try:
            return retention.read(found.get("data") or {})
        except RulesError as error:
            # What cannot be read deletes nothing, the default rules' runs neither.
            await self._recorder.event(found, "Warning", "InvalidRules", str(error))
            return ()
