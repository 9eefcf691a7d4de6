"""What is done to runs from outside: ended, taken up again, deleted. Each call may be made again."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, Protocol

from wherry.client.client import Client
from wherry.controller import apply
from wherry.metadata.store import Metadata
from wherry.objects import errors, metadata
from wherry.objects.metadata import NamespacedName
from wherry.objects.requests import Object
from wherry.pipelines import kinds, naming, status
from wherry.pipelines.graph import again
from wherry.pipelines.history import recording
from wherry.pipelines.history.records import Run
from wherry.pipelines.history.store import History

_TRIES: Final = 5


class Workflows(Protocol):
    """What is done to runs that are Argo Workflows."""

    async def terminate(self, run: Run) -> Object:
        """End one; return its object.

        Raises:
            BadRequestError: it has ended.
        """

    async def retry(self, run: Run) -> Object:
        """Have one go on that has failed; return its object, which may be another one than before.

        Raises:
            BadRequestError: it has not ended, or nothing of it has failed.
            ConflictError: somebody else changes it all the time.
        """

    async def workflow(self, run: Run) -> Object | None:
        """Return one with its status, as it is or was at its end; None: that is not known any more."""


class Operations:
    """Ends runs, takes them up again, deletes them. For one event loop.

    Every method raises `NotFoundError` where there is no such run, `DatabaseError` where the database
    cannot be used, and any `ApiError` of the API.
    """

    def __init__(
        self, client: Client, history: History, tasks: Metadata, workflows: Workflows
    ) -> None:
        """Take what it works with.

        Args:
            client: Changes the objects of runs.
            history: Knows the runs.
            tasks: Knows their tasks.
            workflows: Changes runs that are Workflows.
        """
        self._workflows = workflows
        self._client = client
        self._history = history
        self._tasks = tasks

    async def terminate(self, run_id: str) -> Run:
        """End a run; return how it is now: CANCELING.

        Raises:
            BadRequestError: it has ended.
        """
        run = await self._known(run_id)
        if run.resource is kinds.WORKFLOWS:
            return await self._recorded(run, await self._workflows.terminate(run))
        found = await self._object(run)
        # Of a run that is about to be taken up again, the status is still that of its end.
        if found is None or (status.is_finished(found) and not status.retry_wanted(found)):
            state = run.state if found is None else status.state(found)
            raise errors.BadRequestError(f"run {run_id} has ended: it is {state}")
        return await self._patched(run, {"spec": {"terminate": True}})

    async def retry(self, run_id: str, from_tasks: Sequence[str] = ()) -> Run:
        """Take a run up again that has ended: what failed, and what depends on it, is done again.

        A run whose object is gone gets another one.

        Args:
            run_id: Which.
            from_tasks: Tasks that are done again though they succeeded, and what depends on them
                with them: their places, with or without ``root/``; graphs and loops too.

        Raises:
            BadRequestError: it has not ended, or there is nothing to do again, or no such task.
            ConflictError: somebody else changes it all the time.
        """
        run = await self._known(run_id)
        if run.resource is kinds.WORKFLOWS:
            return await self._retried(run, from_tasks)
        places = await self._places(run, from_tasks)
        for _ in range(_TRIES):
            found = await self._object(run)
            try:
                if found is None:
                    return await self._made_anew(run, places)
                return await self._taken_up(run, found, places)
            except (errors.ConflictError, errors.AlreadyExistsError):
                continue
        raise errors.ConflictError(f"run {run_id} is changed by others all the time; try again")

    async def delete(self, run_id: str) -> None:
        """Delete a run: it is in no list any more; what it has left goes soon after.

        A run that goes on is ended by it.
        """
        run = await self._known(run_id)
        await self._history.delete_run(run_id)
        found = await self._object(run)
        if found is not None:
            await apply.delete_if_present(self._client, run.resource, found)

    async def workflow(self, run: Run) -> Object | None:
        """Return the Workflow that a run is, with its status; None: it is none, or gone, and was not kept."""
        return await self._workflows.workflow(run) if run.resource is kinds.WORKFLOWS else None

    async def expire(self, run_id: str) -> bool:
        """Delete a run that has ended, as `delete` does; return whether it was: not if it goes on."""
        run = await self._history.run(run_id, specs=False)
        if run is None:
            return False
        found = await self._object(run)
        if found is not None:
            if recording.seen(found).state not in kinds.FINAL_STATES:
                return False
            # This very state of it: it may be taken up again at this moment.
            version = str(found["metadata"]["resourceVersion"])
            try:
                await self._client.delete(
                    run.resource, run.name, run.namespace, resource_version=version
                )
            except (errors.ConflictError, errors.NotFoundError):
                return False
        return await self._history.delete_run(run_id)

    async def _known(self, run_id: str) -> Run:
        run = await self._history.run(run_id)
        if run is None:
            raise errors.NotFoundError(f"there is no run {run_id[:80]!r}")
        return run

    async def _object(self, run: Run) -> Object | None:
        """Return the object that a run is now."""
        found = await self._present(run, run.name)
        return found if found is not None and naming.run_id(found) == run.run_id else None

    async def _present(self, run: Run, name: str) -> Object | None:
        try:
            return await self._client.get(run.resource, name, run.namespace)
        except errors.NotFoundError:
            return None

    async def _retried(self, run: Run, from_tasks: Sequence[str]) -> Run:
        """Have a run that is a Workflow go on."""
        if from_tasks:
            raise errors.BadRequestError(
                f"run {run.run_id} is an Argo Workflow: what failed is done again, and what succeeded "
                "with `argo retry --restart-successful`"
            )
        found = await self._workflows.retry(run)
        if metadata.uid(found) != run.object_uid:
            await self._adopted(run, found)
        seen = recording.seen(found)
        # Its controller has not begun it again yet.
        again = dataclasses.replace(seen, state=kinds.RUNNING, error="", finished_at=0)
        return await self._history.record(again) or run

    async def _places(self, run: Run, tasks: Sequence[str]) -> list[str]:
        if len(tasks) > kinds.MAX_RETRY_TASKS:
            raise errors.BadRequestError(
                f"{len(tasks)} tasks; at most {kinds.MAX_RETRY_TASKS} can be named"
            )
        places = [again.place(each) for each in tasks]
        rows = await self._tasks.of_run(run.run_id) if places else []
        for task, place in zip(tasks, places, strict=True):
            if not any(again.is_within(row.path, place) for row in rows):
                raise errors.BadRequestError(
                    f"{task[:200]!r} is no task that run {run.run_id} came to"
                )
        return places

    async def _taken_up(self, run: Run, found: Object, places: Sequence[str]) -> Run:
        if metadata.is_deleting(found):
            raise errors.BadRequestError(
                f"the object of run {run.run_id} is being deleted; try again"
            )
        seen = recording.seen(found)
        if seen.state not in kinds.FINAL_STATES:
            raise errors.BadRequestError(
                f"run {run.run_id} is {seen.state}: it can be taken up again once it has ended"
            )
        _check_reason(run, seen.state, places)
        change = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            "spec": {"terminate": False, "retry": _retry(found, places)},
        }
        return await self._patched(run, change)

    async def _made_anew(self, run: Run, places: Sequence[str]) -> Run:
        """Make an object for a run that has none.

        Raises:
            ConflictError: it has one by now.
        """
        _check_reason(run, run.state, places)
        for name in (run.name, naming.second(run.name, run.run_id)):
            present = await self._present(run, name)
            if present is None:
                await self._history.lost(NamespacedName(run.namespace, run.name))
                wanted = recording.made_anew(run, name, {"retry": _retry({}, places)})
                present = await self._client.create(kinds.PIPELINE_RUNS, wanted)
                await self._adopted(run, present)
                return await self._recorded(run, present)
            if naming.run_id(present) == run.run_id:
                # Made by another call, which was broken off.
                await self._adopted(run, present)
                break
        raise errors.ConflictError(f"run {run.run_id} is taken up by somebody else")

    async def _adopted(self, run: Run, found: Object) -> None:
        where = metadata.namespaced_name(found)
        if not await self._history.adopt(run.run_id, where, metadata.uid(found)):
            raise errors.ConflictError(f"run {run.run_id} has an object already")

    async def _patched(self, run: Run, change: dict[str, Any]) -> Run:
        changed = await self._client.patch(kinds.PIPELINE_RUNS, run.name, change, run.namespace)
        return await self._recorded(run, changed)

    async def _recorded(self, run: Run, found: Object) -> Run:
        return await self._history.record(recording.seen(found)) or run


def _check_reason(run: Run, state: str, places: Sequence[str]) -> None:
    if state == kinds.SUCCEEDED and not places:
        raise errors.BadRequestError(
            f"run {run.run_id} has succeeded: name the tasks that are to be done again"
        )


def _retry(found: Object, places: Sequence[str]) -> Object:
    done = int((found.get("status") or {}).get("retries") or 0)
    return {"number": done + 1, "fromTasks": [*places]}
