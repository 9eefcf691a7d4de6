"""How code gets into pods: in a Secret that goes with the last object that needs it.

A Secret rather than a ConfigMap, for arguments may be anyone's secrets.
"""

import base64
import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.client.client import Client
from wherry.client.functions.packages import Package
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

REQUIREMENTS: Final = "wherry.dev/requirements"
"""Annotation of pods: the packages that their environment should have, one a line."""
FOLDER: Final = "/wherry"
PROGRAM: Final = ("python", f"{FOLDER}/run.py")
_VOLUME: Final = "wherry-code"
_TRIES: Final = 5


class BusyError(Exception):
    """A Secret changes all the time."""


def secret(package: Package, namespace: str, label: tuple[str, str]) -> Object:
    """Return the Secret that carries a package.

    Args:
        package: What it carries.
        namespace: Where.
        label: Name and value of a label that it has.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"wherry-code-{package.digest()[:24]}",
            "namespace": namespace,
            "labels": dict([label]),
        },
        "immutable": True,
        "data": {
            name: base64.b64encode(content).decode() for name, content in package.files.items()
        },
    }


def name_of(package: Package, unique: str, verb: str) -> str:
    """Return a name for what runs a package, such as ``fit-3f9a1``.

    Args:
        package: What it runs.
        unique: Differs each time.
        verb: Put before names that no object may have.
    """
    words = re.sub(r"[^a-z0-9]+", "-", package.label.lower()).strip("-")[:24].rstrip("-")
    words = words if words[:1].isalpha() else f"{verb}-{words}".rstrip("-")
    return f"{words}-{hashlib.sha256(unique.encode()).hexdigest()[:5]}"


def template(
    container: Object, code: str, *, packages: Sequence[str], volumes: Mapping[str, str]
) -> Object:
    """Return a pod template whose container has the code, at `FOLDER`.

    Args:
        container: The container, but for its volumes; not changed.
        code: Name of the Secret.
        packages: What pip should install.
        volumes: Path by claim's name.
    """
    held: list[Object] = [{"name": _VOLUME, "secret": {"secretName": code}}]
    mounts: list[Object] = [{"name": _VOLUME, "mountPath": FOLDER, "readOnly": True}]
    for number, (claim, path) in enumerate(volumes.items()):
        own = f"volume-{number}"
        held.append({"name": own, "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": own, "mountPath": path})
    made: Object = {
        "spec": {"containers": [{**container, "volumeMounts": mounts}], "volumes": held}
    }
    if packages:
        made["metadata"] = {"annotations": {REQUIREMENTS: "\n".join(packages)}}
    return made


def resources(amounts: Mapping[str, Any]) -> Object:
    """Return what a container needs and may use, as its ``resources``."""
    texts = {name: str(amount) for name, amount in amounts.items()}
    return {"requests": texts, "limits": texts}


def default_image() -> str:
    """Return the image with the caller's Python: what is sent by value wants the same one."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}"


async def send(client: Client, carrier: Object) -> None:
    """Create a Secret unless it is there: its name says that it is the same."""
    try:
        await client.create(kinds.SECRETS, carrier)
    except errors.AlreadyExistsError:
        return


async def own(client: Client, carrier: Object, owner: Object) -> None:
    """Let the Secret go with the last of its owners.

    Raises:
        BusyError: others change it all the time.
    """
    for _ in range(_TRIES):
        try:
            name, namespace = metadata.name(carrier), metadata.namespace(carrier)
            held = await client.get(kinds.SECRETS, name, namespace)
            await client.update(kinds.SECRETS, _owned(held, owner))
        except errors.ConflictError:
            continue
        except errors.NotFoundError:
            # It went with another owner just now.
            await send(client, _owned(carrier, owner))
        return
    raise BusyError(f"secret {metadata.name(carrier)} changes all the time; is it edited?")


def _owned(carrier: Object, owner: Object) -> Object:
    held = carrier["metadata"].get("ownerReferences") or []
    reference = metadata.owner_reference(owner)
    for only_of_controllers in ("controller", "blockOwnerDeletion"):
        reference.pop(only_of_controllers, None)
    kept = [each for each in held if each.get("uid") != reference["uid"]]
    return {**carrier, "metadata": {**carrier["metadata"], "ownerReferences": [*kept, reference]}}
