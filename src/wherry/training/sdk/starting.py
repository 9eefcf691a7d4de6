"""Starting a training, and finding those there are."""

import secrets
from pathlib import Path
from typing import Unpack

from wherry.client import clusters
from wherry.client.clusters import Api
from wherry.client.connections import Connection
from wherry.client.functions import carrying, packages
from wherry.client.functions.packages import Target
from wherry.objects import errors, metadata
from wherry.training.sdk import jobs, manifests, shapes
from wherry.training.sdk import settings as setting
from wherry.training.sdk.errors import TrainingError
from wherry.training.sdk.jobs import Job
from wherry.training.sdk.settings import Settings
from wherry.training.sdk.training import Training


def train(target: Target, **settings: Unpack[Settings]) -> Training:
    """Start a function, a script or a module as a distributed training job.

    The code travels with the modules that it imports from its own folders, and its packages are
    named by `packages`. Nothing has to be installed or built. It returns as soon as the job is
    there; see `Training` for what can be done then.

    Args:
        target: A function; the path of a script; ``"package.module:function"``, ``"package.module"``
            or a module, which is run as ``__main__``.
        **settings: See `Settings`.

    Returns:
        The training, which goes on when the caller ends; `attach` finds it again by its name.

    Raises:
        TrainingError: a setting cannot be, or the kind of job is not known to the cluster.
        PackagingError: the code cannot travel; the message says what to do instead.
        ConfigurationError: there is no cluster.
        ApiError: the cluster refused the job.
    """
    setting.check(settings)
    shape = shapes.of(settings.get("framework", "pytorch"), settings.get("workers", 2))
    package = packages.package(
        target,
        settings.get("args", ()),
        settings.get("kwargs"),
        requirements=settings.get("packages", ()),
    )
    cluster = clusters.choose(settings.get("connection"), settings.get("namespace", ""))
    secret = manifests.code(package, cluster.namespace)
    name = settings.get("name") or manifests.name_of(package, secrets.token_hex(8))
    job = manifests.job(name, cluster.namespace, metadata.name(secret), settings)
    resource = shape.framework.resource

    async def start(api: Api) -> None:
        await carrying.send(api.client, secret)
        try:
            made = await api.client.create(resource, job)
        except errors.NotFoundError as error:
            raise TrainingError(
                f"{cluster.connection.server} has no kind {resource.kind}: run `wherry crds | kubectl "
                "apply -f -` and `wherry controllers` there"
            ) from error
        await carrying.own(api.client, secret, made)

    try:
        cluster.call(start)
    except carrying.BusyError as error:
        raise TrainingError(str(error)) from error
    return Training(cluster, Job(resource, name, cluster.namespace))


def attach(
    name: str, *, namespace: str = "", connection: Connection | Path | str | None = None
) -> Training:
    """Return a training that runs or has run, whoever started it.

    Args:
        name: Of the job, or ``kind/name`` where several kinds have it.
        namespace: Where; by default the connection's.
        connection: Which cluster; see `Settings`.

    Raises:
        TrainingError: there is none of that name.
        ConfigurationError: there is no cluster.
    """
    cluster = clusters.choose(connection, namespace)
    return Training(cluster, cluster.call(lambda api: jobs.find(api, name, cluster.namespace)))
