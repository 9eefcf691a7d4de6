"""Claims that a pipeline makes and deletes: the workspace, and the tasks CreatePVC and DeletePVC.

Their executors' images are names that stand for these deeds; nothing is run.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/driver/k8s.go`` (createPVC, deletePVC).
"""

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from wherry.client.client import Client
from wherry.controller import apply
from wherry.metadata.records import Values
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.patches import merge as patches
from wherry.objects.requests import Object
from wherry.pipelines import kinds, naming
from wherry.pipelines.ir.platforms import Workspace
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.steps.order import Order

CREATE: Final = "argostub/createpvc"
DELETE: Final = "argostub/deletepvc"
IMAGES: Final = frozenset({CREATE, DELETE})

_DEFAULT_CLASS: Final = "standard"
_MAKER: Final = "wherry.dev/pipeline-task-path"


async def perform(client: Client, order: Order) -> Values:
    """Create or delete a claim; done once however often it is called.

    Raises:
        StepError: its inputs are not right, or the claim is not there, or another's.
        ApiError: the API refused it.
    """
    if order.container.image == CREATE:
        return await _create(client, order)
    return await _delete(client, order)


async def make_workspace(client: Client, run: Object, workspace: Workspace) -> None:
    """Make the claim that the steps of a run share; it goes with the run.

    Raises:
        StepError: what the pipeline says of it is not right.
        ForeignOwnerError: there is one of that name, of another run: it may go with that one.
        ApiError: the API refused it for now.
    """
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": workspace.size}},
    }
    patch = workspace.kubernetes.pvc_spec_patch if workspace.kubernetes else None
    claim = {
        "apiVersion": core.PERSISTENT_VOLUME_CLAIMS.api_version,
        "kind": core.PERSISTENT_VOLUME_CLAIMS.kind,
        "metadata": {
            "name": naming.workspace(run),
            "namespace": metadata.namespace(run),
            "labels": {kinds.RUN_LABEL: naming.label(metadata.name(run))},
            "ownerReferences": [metadata.owner_reference(run)],
        },
        "spec": patches.merge_patch(spec, dict(patch)) if patch else spec,
    }
    try:
        await apply.create_if_absent(client, None, core.PERSISTENT_VOLUME_CLAIMS, claim)
    except (errors.InvalidError, errors.BadRequestError) as error:
        raise StepError(f"workspace: {error.message}") from error


async def _create(client: Client, order: Order) -> Values:
    claim = _claim(order)
    name, namespace = metadata.namespaced_name(claim)[::-1]
    try:
        await client.create(core.PERSISTENT_VOLUME_CLAIMS, claim)
    except errors.AlreadyExistsError:
        present = await client.get(core.PERSISTENT_VOLUME_CLAIMS, name, namespace)
        made_by = metadata.annotations(present).get(_MAKER)
        if made_by != metadata.annotations(claim)[_MAKER]:
            raise StepError(
                f"pvc_name: there is a claim {name} already, of somebody else"
            ) from None
    return Values(parameters={"name": name})


def _claim(order: Order) -> Object:
    inputs = order.inputs.parameters
    spec: Object = {
        "accessModes": _required(inputs, "access_modes"),
        "resources": {"requests": {"storage": _required(inputs, "size")}},
        # An empty one is a class too: none is made for such a claim.
        "storageClassName": inputs.get("storage_class_name", _DEFAULT_CLASS),
    }
    if inputs.get("volume_name"):
        spec["volumeName"] = inputs["volume_name"]
    if inputs.get("data_source"):
        spec["dataSource"] = inputs["data_source"]
    maker = f"{naming.run_id(order.run)}/{order.path}"
    return {
        "apiVersion": core.PERSISTENT_VOLUME_CLAIMS.api_version,
        "kind": core.PERSISTENT_VOLUME_CLAIMS.kind,
        "metadata": {
            "name": _name(order),
            "namespace": metadata.namespace(order.run),
            "annotations": {**(inputs.get("annotations") or {}), _MAKER: maker},
        },
        "spec": spec,
    }


def _name(order: Order) -> str:
    inputs = order.inputs.parameters
    whole, suffix = inputs.get("pvc_name"), inputs.get("pvc_name_suffix")
    if whole and suffix:
        raise StepError(f"pvc_name {whole!r}, pvc_name_suffix {suffix!r}: give one of them")
    if whole:
        return str(whole)
    return f"{naming.claim(order.run, order.path)}{suffix or ''}"


def _required(inputs: Mapping[str, Any], name: str) -> Any:
    if inputs.get(name) is None:
        raise StepError(f"parameter {name} is missing")
    return inputs[name]


async def _delete(client: Client, order: Order) -> Values:
    name = str(_required(order.inputs.parameters, "pvc_name"))
    namespace = metadata.namespace(order.run)
    # Where there is none, it may have been this very task, before a restart.
    with contextlib.suppress(errors.NotFoundError):
        await client.delete(core.PERSISTENT_VOLUME_CLAIMS, name, namespace)
    return Values()
