"""Making and deleting pods for those who own them.

Calls go out together, so that they share commits. The first refusal stops the rest: what a quota
forbids for one pod it forbids for the next.
"""

import asyncio
from collections.abc import Sequence

from wherry.client.client import Client
from wherry.controller.apply import delete_if_present
from wherry.controller.events import Recorder
from wherry.controller.owners import is_controlled_by
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

_BATCH = 64

AFTER_REFUSAL_SECONDS = 5.0
"""When to try again after the API has refused to make a pod."""


class PodControl:
    """Writes pods in the name of one controller and tells about it in events."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self._client = client
        self._recorder = recorder

    async def create(self, owner: Object, pods: Sequence[Object]) -> errors.ApiError | None:
        """Create pods; return the first refusal, after an event on the owner.

        A pod of the owner that is there already is as good as made: its name says that it is the
        same one.
        """
        for start in range(0, len(pods), _BATCH):
            batch = pods[start : start + _BATCH]
            outcomes = await asyncio.gather(*(self._create(owner, pod) for pod in batch))
            for outcome in outcomes:
                if outcome is not None:
                    return outcome
        return None

    async def _create(self, owner: Object, pod: Object) -> errors.ApiError | None:
        try:
            await self._client.create(kinds.PODS, pod)
        except errors.AlreadyExistsError as error:
            place = metadata.namespaced_name(pod)
            there = await self._client.get(kinds.PODS, place.name, place.namespace)
            return None if is_controlled_by(there, owner) else await self._refused(owner, error)
        except errors.ApiError as error:
            return await self._refused(owner, error)
        message = f"Created pod: {metadata.name(pod)}"
        await self._recorder.event(owner, "Normal", "SuccessfulCreate", message)
        return None

    async def _refused(self, owner: Object, error: errors.ApiError) -> errors.ApiError:
        message = f"Error creating: {error.message}"
        await self._recorder.event(owner, "Warning", "FailedCreate", message)
        return error

    async def delete(self, owner: Object, pods: Sequence[Object]) -> None:
        """Ask for the deletion of pods, with the grace that each of them names."""
        for start in range(0, len(pods), _BATCH):
            batch = pods[start : start + _BATCH]
            await asyncio.gather(*(self._delete(owner, pod) for pod in batch))

    async def _delete(self, owner: Object, pod: Object) -> None:
        await delete_if_present(self._client, kinds.PODS, pod)
        message = f"Deleted pod: {metadata.name(pod)}"
        await self._recorder.event(owner, "Normal", "SuccessfulDelete", message)
