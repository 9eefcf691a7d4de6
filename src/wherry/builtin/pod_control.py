"""Making, deleting, adopting and releasing pods for those who own them.

Calls go out together, so that they share commits. The first refusal stops the rest: what a quota
forbids for one pod it forbids for the next.
"""

import asyncio
from collections.abc import Sequence

from wherry.client.client import Client
from wherry.controller.apply import delete_if_present
from wherry.controller.cache import Cache
from wherry.controller.events import Recorder
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.selectors import LabelSelector

_BATCH = 64


class PodControl:
    """Writes pods in the name of one controller and tells about it in events."""

    def __init__(self, client: Client, recorder: Recorder) -> None:
        self._client = client
        self._recorder = recorder

    async def create(self, owner: Object, pods: Sequence[Object]) -> errors.ApiError | None:
        """Create pods; return the first refusal, after an event on the owner.

        A pod that is there already is as good as made: its name says that it is the same one.
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
        except errors.AlreadyExistsError:
            return None
        except errors.ApiError as error:
            message = f"Error creating: {error.message}"
            await self._recorder.event(owner, "Warning", "FailedCreate", message)
            return error
        message = f"Created pod: {metadata.name(pod)}"
        await self._recorder.event(owner, "Normal", "SuccessfulCreate", message)
        return None

    async def delete(self, owner: Object, pods: Sequence[Object]) -> None:
        """Ask for the deletion of pods, with the grace that each of them names."""
        await asyncio.gather(*(self._delete(owner, pod) for pod in pods))

    async def _delete(self, owner: Object, pod: Object) -> None:
        await delete_if_present(self._client, kinds.PODS, pod)
        message = f"Deleted pod: {metadata.name(pod)}"
        await self._recorder.event(owner, "Normal", "SuccessfulDelete", message)

    async def claim(self, owner: Object, cache: Cache, selector: LabelSelector) -> list[Object]:
        """Return the owner's pods, having adopted and released those that its selector says.

        Args:
            owner: Who controls the pods.
            cache: Of pods.
            selector: The owner's; matching pods without a controller become its own, and pods of
                its own that match no longer are let go.
        """
        claimed = []
        for pod in cache.owned_by(metadata.uid(owner)):
            if (metadata.controller_of(pod) or {}).get("uid") != metadata.uid(owner):
                continue
            if selector.matches(metadata.labels(pod)):
                claimed.append(pod)
            elif not metadata.is_deleting(pod):
                await self._release(owner, pod)
        if not metadata.is_deleting(owner):
            orphans = [
                pod
                for pod in cache.list(metadata.namespace(owner), selector)
                if metadata.controller_of(pod) is None and not metadata.is_deleting(pod)
            ]
            claimed += [await self._adopt(owner, pod) for pod in orphans]
        return claimed

    async def _adopt(self, owner: Object, pod: Object) -> Object:
        references = [*metadata.owner_references(pod), metadata.owner_reference(owner)]
        return await self._set_owners(pod, references)

    async def _release(self, owner: Object, pod: Object) -> None:
        references = metadata.owner_references(pod)
        kept = [one for one in references if one.get("uid") != metadata.uid(owner)]
        await self._set_owners(pod, kept or None)

    async def _set_owners(self, pod: Object, references: list[Object] | None) -> Object:
        namespace, name = metadata.namespaced_name(pod)
        patch = {
            "metadata": {
                "uid": metadata.uid(pod),
                "resourceVersion": pod["metadata"]["resourceVersion"],
                "ownerReferences": references,
            }
        }
        return await self._client.patch(kinds.PODS, name, patch, namespace)
