"""Starting a search, and finding those there are."""

import secrets
from pathlib import Path
from typing import Unpack

from wherry.client import clusters
from wherry.client.clusters import Api
from wherry.client.connections import Connection
from wherry.client.functions import carrying, packages
from wherry.client.functions.packages import Target
from wherry.objects import errors, metadata
from wherry.objects.metadata import NamespacedName
from wherry.tuning import kinds
from wherry.tuning.sdk import manifests
from wherry.tuning.sdk import settings as setting
from wherry.tuning.sdk import space as spaces
from wherry.tuning.sdk.errors import TuningError
from wherry.tuning.sdk.search import Search
from wherry.tuning.sdk.settings import Settings
from wherry.tuning.sdk.space import Space


def tune(target: Target, space: Space, /, **settings: Unpack[Settings]) -> Search:
    """Search the parameters with which a function, a script or a module does best.

    Each trial is a Job of its own. A function is called with the parameters by name, and returns the
    value of the objective, or a dictionary of metrics; or it gives them to `wherry.report` as it goes,
    which early stopping needs. A script or a module gets them as options (``--lr=0.1``) and prints
    ``accuracy=0.9``.

    Args:
        target: A function; the path of a script; ``"package.module:function"``, ``"package.module"``
            or a module, which is run as ``__main__``.
        space: What is searched, by name; see `wherry.tuning.sdk.space`.
        **settings: See `Settings`.

    Returns:
        The search, which goes on when the caller ends; `find_search` finds it again by its name.

    Raises:
        TuningError: a setting cannot be, or Experiments are not known to the cluster.
        PackagingError: the code cannot travel; the message says what to do instead.
        ConfigurationError: there is no cluster.
        InvalidError: the Experiment is refused; the message says why.
    """
    setting.check(settings)
    dimensions = spaces.read(space)
    _, metric = setting.objective(settings.get("objective", "objective"))
    readers = {name: each.reader for name, each in dimensions.items()}
    package = packages.package(
        target,
        settings.get("args", ()),
        settings.get("kwargs"),
        requirements=settings.get("packages", ()),
        search=packages.Search(readers, metric),
    )
    cluster = clusters.choose(settings.get("connection"), settings.get("namespace", ""))
    name = settings.get("name") or carrying.name_of(package, secrets.token_hex(8), "tune")
    carrier = carrying.secret(package, cluster.namespace, (manifests.LABEL, "code"))
    template = manifests.job(
        metadata.name(carrier), dimensions, settings, options=package.has_command_line
    )
    place = NamespacedName(cluster.namespace, name)
    experiment = manifests.experiment(place, template, dimensions, settings)

    async def start(api: Api) -> None:
        await carrying.send(api.client, carrier)
        try:
            made = await api.client.create(kinds.EXPERIMENTS, experiment)
        except errors.NotFoundError as error:
            raise TuningError(
                f"{cluster.connection.server} has no kind Experiment: run `wherry crds | kubectl "
                "apply -f -` and `wherry controllers` there"
            ) from error
        await carrying.own(api.client, carrier, made)

    try:
        cluster.call(start)
    except carrying.BusyError as error:
        raise TuningError(str(error)) from error
    return Search(cluster, name)


def find_search(
    name: str, *, namespace: str = "", connection: Connection | Path | str | None = None
) -> Search:
    """Return a search that runs or has run, whoever started it, by whatever means.

    Args:
        name: Of the Experiment.
        namespace: Where; by default the connection's.
        connection: Which cluster; see `Settings`.

    Raises:
        TuningError: there is none of that name.
        ConfigurationError: there is no cluster.
    """
    return Search.find(name, namespace, connection)
