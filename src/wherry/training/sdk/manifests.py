"""From settings and a package to the objects of a training. Pure."""

import base64
import hashlib
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.training.sdk import shapes
from wherry.training.sdk.packages import Package
from wherry.training.sdk.settings import Settings

REQUIREMENTS: Final = "wherry.dev/requirements"
"""Annotation of pods: the packages that their environment should have, one a line."""
LABEL: Final = "wherry.dev/training"
"""Label of the jobs and Secrets that `train` makes."""
FOLDER: Final = "/wherry"
_RESTARTS: Final = 3


def code(package: Package, namespace: str) -> Object:
    """Return the Secret that carries a package: arguments may be anyone's secrets."""
    digest = package.digest()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"wherry-code-{digest[:24]}",
            "namespace": namespace,
            "labels": {LABEL: "code"},
        },
        "immutable": True,
        "data": {
            name: base64.b64encode(content).decode() for name, content in package.files.items()
        },
    }


def name_of(package: Package, unique: str) -> str:
    """Return a name for a job, such as ``fit-3f9a1``.

    Args:
        package: What it runs.
        unique: Differs from job to job.
    """
    words = re.sub(r"[^a-z0-9]+", "-", package.label.lower()).strip("-")[:24].rstrip("-")
    words = words if words[:1].isalpha() else f"train-{words}".rstrip("-")
    return f"{words}-{hashlib.sha256(unique.encode()).hexdigest()[:5]}"


def job(name: str, namespace: str, secret: str, settings: Settings) -> Object:
    """Return the job.

    Args:
        name: Of it.
        namespace: Where.
        secret: Name of the Secret with its code.
        settings: Checked.
    """
    shape = shapes.of(settings.get("framework", "pytorch"), settings.get("workers", 2))
    policy: Object = {"cleanPodPolicy": "None", "backoffLimit": settings.get("restarts", _RESTARTS)}
    if "timeout" in settings:
        policy["activeDeadlineSeconds"] = max(1, round(settings["timeout"]))
    template = _template(shape, name, secret, settings)
    replicas = {
        type_: {"replicas": count, "restartPolicy": "ExitCode", "template": template}
        for type_, count in shape.replicas.items()
    }
    resource = shape.framework.resource
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: "job"}},
        "spec": {"runPolicy": policy, shape.framework.replicas_field: replicas},
    }


def _template(shape: shapes.Shape, name: str, secret: str, settings: Settings) -> Object:
    packages = list(settings.get("packages", ()))
    volumes: list[Object] = [{"name": "wherry-code", "secret": {"secretName": secret}}]
    mounts: list[Object] = [{"name": "wherry-code", "mountPath": FOLDER, "readOnly": True}]
    for number, (claim, path) in enumerate(settings.get("volumes", {}).items()):
        own = f"volume-{number}"
        volumes.append({"name": own, "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": own, "mountPath": path})
    container: Object = {
        "name": shape.framework.container,
        "image": settings.get("image") or default_image(),
        "command": ["python", f"{FOLDER}/run.py"],
        "env": _variables(shape.first(name), settings.get("env", {})),
        "volumeMounts": mounts,
    }
    if settings.get("resources"):
        amounts = {each: str(amount) for each, amount in settings["resources"].items()}
        container["resources"] = {"requests": amounts, "limits": amounts}
    template: Object = {"spec": {"containers": [container], "volumes": volumes}}
    if packages:
        template["metadata"] = {"annotations": {REQUIREMENTS: "\n".join(packages)}}
    return template


def _variables(first: str, given: Mapping[str, str]) -> list[Object]:
    made: dict[str, Any] = {name: {"value": str(value)} for name, value in given.items()}
    made.setdefault("PYTHONUNBUFFERED", {"value": "1"})
    made["WHERRY_POD"] = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    made["WHERRY_FIRST_POD"] = {"value": first}
    return [{"name": name, **value} for name, value in made.items()]


def default_image() -> str:
    """Return the image with the caller's Python: what is sent by value wants the same one."""
    return f"python:{sys.version_info.major}.{sys.version_info.minor}"


def owned(secret: Object, job_: Object) -> Object:
    """Return a Secret that goes when the last of its jobs goes."""
    held = secret["metadata"].get("ownerReferences") or []
    reference = metadata.owner_reference(job_)
    for only_of_controllers in ("controller", "blockOwnerDeletion"):
        reference.pop(only_of_controllers, None)
    kept = [each for each in held if each.get("uid") != reference["uid"]]
    return {**secret, "metadata": {**secret["metadata"], "ownerReferences": [*kept, reference]}}
