"""Starting a training, and finding those there are."""

import secrets
from pathlib import Path
from typing import Unpack

from wherry.client.connections import Connection
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.training.sdk import clusters, jobs, manifests, packages, shapes
from wherry.training.sdk import settings as setting
from wherry.training.sdk.clusters import Api
from wherry.training.sdk.errors import TrainingError
from wherry.training.sdk.jobs import Job
from wherry.training.sdk.packages import Target
from wherry.training.sdk.settings import Settings
from wherry.training.sdk.training import Training

_TRIES = 5


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
        await _send(api, secret)
        try:
            made = await api.client.create(resource, job)
        except errors.NotFoundError as error:
            raise TrainingError(
                f"{cluster.connection.server} has no kind {resource.kind}: run `wherry crds | kubectl "
                "apply -f -` and `wherry controllers` there"
            ) from error
        await _own(api, secret, made)

    cluster.call(start)
    return Training(cluster, Job(resource, name, cluster.namespace))


async def _send(api: Api, secret: Object) -> None:
    try:
        await api.client.create(kinds.SECRETS, secret)
    except errors.AlreadyExistsError:
        return  # its name says that it is the same


async def _own(api: Api, secret: Object, job: Object) -> None:
    """Let the code go with its last job."""
    for _ in range(_TRIES):
        try:
            name, namespace = metadata.name(secret), metadata.namespace(secret)
            held = await api.client.get(kinds.SECRETS, name, namespace)
            await api.client.update(kinds.SECRETS, manifests.owned(held, job))
        except errors.ConflictError:
            continue
        except errors.NotFoundError:
            # It went with another job just now.
            await _send(api, manifests.owned(secret, job))
        return
    raise TrainingError(f"secret {metadata.name(secret)} changes all the time; is it edited?")


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
