"""Schedules as objects of the API: made, found, switched on and off, deleted."""

from collections.abc import Sequence

from wherry.client.client import Client
from wherry.controller import apply
from wherry.controller.cache import Cache
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.definitions.finding import Finder
from wherry.pipelines.schedules import kinds


class Schedules:
    """Finds and keeps schedules. For one event loop."""

    def __init__(self, client: Client, schedules: Cache) -> None:
        """Take where they are.

        Args:
            client: Reads and writes them.
            schedules: Cache of them.
        """
        self._client = client
        self._finder = Finder(client, schedules, "recurring run")

    async def schedule(self, uid: str) -> Object:
        """Return a schedule.

        Raises:
            NotFoundError: there is none.
        """
        return await self._finder.by_uid(uid)

    async def schedules(self, namespace: str) -> Sequence[Object]:
        """Return the schedules of a namespace."""
        listed = await self._client.list(kinds.SCHEDULED_WORKFLOWS, namespace)
        return [each for each in listed if not metadata.is_deleting(each)]

    async def create(self, schedule: Object) -> Object:
        """Make a schedule.

        Raises:
            InvalidError: there is something wrong with it.
        """
        return await self._client.create(kinds.SCHEDULED_WORKFLOWS, schedule)

    async def switch(self, schedule: Object, *, enabled: bool) -> None:
        """Switch a schedule on or off.

        Raises:
            NotFoundError: it is gone.
        """
        where = metadata.namespaced_name(schedule)
        patch = {"metadata": {"uid": metadata.uid(schedule)}, "spec": {"enabled": enabled}}
        try:
            await self._client.patch(kinds.SCHEDULED_WORKFLOWS, where.name, patch, where.namespace)
        except errors.ConflictError:
            # Another one of its name by now.
            raise self._finder.missing(metadata.uid(schedule)) from None

    async def disable_of(self, namespace: str, experiment_id: str) -> None:
        """Switch off the schedules whose runs are in an experiment."""
        for each in await self.schedules(namespace):
            spec = each["spec"]
            if spec.get("experimentId") == experiment_id and spec.get("enabled"):
                await self.switch(each, enabled=False)

    async def delete(self, schedule: Object, propagation_policy: str | None = None) -> None:
        """Delete a schedule; that it is gone is fine.

        Args:
            schedule: As it was read.
            propagation_policy: What becomes of its runs, as for `Client.delete`.
        """
        await apply.delete_if_present(
            self._client,
            kinds.SCHEDULED_WORKFLOWS,
            schedule,
            propagation_policy=propagation_policy,
        )
