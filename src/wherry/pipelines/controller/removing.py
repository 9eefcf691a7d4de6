"""What the steps of a deleted run have made is removed: in this machine's folder at once, elsewhere by a pod.

A pod, because the control plane has no keys of stores, and no claims: it runs in the namespace of the
run, with its ServiceAccount.
"""

import hashlib
import json
import logging
from typing import Final

from wherry.client.client import Client
from wherry.controller import apply
from wherry.metadata.artifacts import uris
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import naming
from wherry.pipelines.controller.roots import RootError, Roots
from wherry.pipelines.history.records import Deletion
from wherry.pipelines.steps import ending
from wherry.pipelines.steps.draft import Draft

logger = logging.getLogger("wherry.pipelines.removing")

_MOST_TOLD: Final = 100_000
"""Characters of URIs that fit into a variable of a pod."""


class Remover:
    """Removes files of deleted runs."""

    def __init__(self, client: Client, roots: Roots) -> None:
        """Take what it works with.

        Args:
            client: Makes pods.
            roots: Where artifacts are.
        """
        self._client = client
        self._roots = roots

    async def remove(self, deletion: Deletion) -> bool:
        """Remove what is planned; return whether it is done, or given up.

        Raises:
            ApiError: the API cannot be asked.
            OSError: a file cannot be removed.
        """
        await self._roots.remove(deletion.namespace, deletion.remove, deletion.keep)
        if not any(not uris.is_of_node(each) for each in deletion.remove):
            return True
        found = await self._pod(deletion)
        if found is None:
            return await self._begun(deletion)
        end = ending.of(found)
        if end is None:
            return False
        if not end.succeeded:
            # It has been tried several times in there.
            logger.warning("what run %s has left stays: %s", deletion.run_id, end.message)
        await apply.delete_if_present(self._client, core.PODS, found)
        return True

    async def _pod(self, deletion: Deletion) -> Object | None:
        try:
            return await self._client.get(core.PODS, _name(deletion), deletion.namespace)
        except errors.NotFoundError:
            return None

    async def _begun(self, deletion: Deletion) -> bool:
        """Make the pod; return whether there can be none."""
        try:
            wanted = await self._wanted(deletion)
            await self._client.create(core.PODS, wanted)
        except (RootError, errors.InvalidError, errors.NotFoundError) as error:
            logger.warning("what run %s has left stays: %s", deletion.run_id, error)
            return True
        return False

    async def _wanted(self, deletion: Deletion) -> Object:
        root = await self._roots.of_gone(deletion.pipeline_root, deletion.namespace)
        draft = Draft({})
        gone = [each for each in deletion.remove if not uris.is_of_node(each)]
        keep = [each for each in deletion.keep if any(uris.is_below(each, one) for one in gone)]
        if len(json.dumps([gone, keep])) > _MOST_TOLD:
            raise RootError(f"{len(gone)} URIs, of which {len(keep)} are used by others: too many")
        self._roots.stage(root).remove_alone(draft, gone, keep)
        if deletion.service_account:
            draft.spec["serviceAccountName"] = deletion.service_account
        return {
            "apiVersion": core.PODS.api_version,
            "kind": core.PODS.kind,
            "metadata": {
                "name": _name(deletion),
                "namespace": deletion.namespace,
                "labels": {"wherry.dev/pipeline-removal": naming.label(deletion.run_id)},
                "annotations": draft.annotations,
            },
            "spec": draft.spec,
        }


def _name(deletion: Deletion) -> str:
    return f"pipeline-removal-{hashlib.sha256(deletion.run_id.encode()).hexdigest()[:16]}"
