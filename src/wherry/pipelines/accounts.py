"""The account of the runs of packages of KFP v1, all of which name one that most namespaces do not have."""

from typing import Final

from wherry.client.client import Client
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object

COMPILED: Final = "pipeline-runner"
"""What the compiler of version 1 writes where nobody has said anything."""
_FIELD: Final = "serviceAccountName"


async def present(client: Client, workflow: Object) -> Object:
    """Return a workflow; where the account that the compiler wrote is not there, of the namespace's default one."""
    spec = workflow["spec"]
    if spec.get(_FIELD) != COMPILED:
        return workflow
    try:
        await client.get(core.SERVICE_ACCOUNTS, COMPILED, metadata.namespace(workflow))
    except errors.NotFoundError:
        left = {key: value for key, value in spec.items() if key != _FIELD}
        return {**workflow, "spec": left}
    return workflow
