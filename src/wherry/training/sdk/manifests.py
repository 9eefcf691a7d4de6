"""From settings and a package to the objects of a training. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.client.functions import carrying
from wherry.client.functions.packages import Package
from wherry.objects.requests import Object
from wherry.training.sdk import shapes
from wherry.training.sdk.settings import Settings

LABEL: Final = "wherry.dev/training"
"""Label of the jobs and Secrets that `train` makes."""
_RESTARTS: Final = 3
_IMPLEMENTATIONS: Final = frozenset({"mpich", "openmpi", "impi-rt"})


def code(package: Package, namespace: str) -> Object:
    """Return the Secret that carries a package."""
    return carrying.secret(package, namespace, (LABEL, "code"))


def name_of(package: Package, unique: str) -> str:
    """Return a name for a job; see `carrying.name_of`."""
    return carrying.name_of(package, unique, "train")


def job(name: str, namespace: str, secret: str, settings: Settings) -> Object:
    """Return the job.

    Args:
        name: Of it.
        namespace: Where.
        secret: Name of the Secret with its code.
        settings: Checked.
    """
    shape = shapes.of(settings.get("framework", "pytorch"), settings.get("workers", 2))
    # Pods that wait to be used would wait for ever.
    clean = "Running" if shape.launched else "None"
    policy: Object = {"cleanPodPolicy": clean, "backoffLimit": settings.get("restarts", _RESTARTS)}
    if "timeout" in settings:
        policy["activeDeadlineSeconds"] = max(1, round(settings["timeout"]))
    replicas = {
        type_: {
            "replicas": count,
            "restartPolicy": "ExitCode",
            "template": _template(shape, type_, {"name": name, "secret": secret}, settings),
        }
        for type_, count in shape.replicas.items()
    }
    resource = shape.framework.resource
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: "job"}},
        "spec": {"runPolicy": policy, shape.framework.replicas_field: replicas},
    }


def _template(
    shape: shapes.Shape, type_: str, called: Mapping[str, str], settings: Settings
) -> Object:
    packages = [*settings.get("packages", ()), *_mpi(shape, settings)]
    container: Object = {
        "name": shape.framework.container,
        "image": settings.get("image") or carrying.default_image(),
        "env": _variables(shape.first(called["name"]), settings.get("env", {})),
    }
    command = shape.command(type_, carrying.PROGRAM)
    if command:
        container["command"] = command
    if settings.get("resources") and shape.is_rank(type_):
        container["resources"] = carrying.resources(settings["resources"])
    return carrying.template(
        container, called["secret"], packages=packages, volumes=settings.get("volumes", {})
    )


def _mpi(shape: shapes.Shape, settings: Settings) -> Sequence[str]:
    """Return the packages of an MPI, where neither image nor packages bring one along."""
    named = {
        re.split(r"[^A-Za-z0-9_-]", each, maxsplit=1)[0] for each in settings.get("packages", ())
    }
    if not shape.launched or settings.get("image") or named & _IMPLEMENTATIONS:
        return ()
    return [each for each in ("mpi4py", "mpich") if each not in named]


def _variables(first: str, given: Mapping[str, str]) -> list[Object]:
    made: dict[str, Any] = {name: {"value": str(value)} for name, value in given.items()}
    made.setdefault("PYTHONUNBUFFERED", {"value": "1"})
    made["WHERRY_POD"] = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    made["WHERRY_FIRST_POD"] = {"value": first}
    return [{"name": name, **value} for name, value in made.items()]
