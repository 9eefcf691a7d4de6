"""Results that may be taken again: which there are, and how they are not taken any more."""

import datetime
from pathlib import Path
from typing import TypedDict, Unpack

from wherry.client import clusters
from wherry.client.connections import Connection
from wherry.pipelines.sdk import setting_names, tasks
from wherry.pipelines.sdk.errors import RunError
from wherry.pipelines.sdk.running import Run
from wherry.pipelines.sdk.tasks import Task
from wherry.pipelines.service import Chosen, Service


class Which(TypedDict, total=False):
    """Which results are meant, all optional."""

    pipeline: str
    """Of one pipeline only, by its name."""
    task: str
    """Of one task only, by its name."""
    run: Run
    """That one run made."""
    key: str
    """Of one cache key, or of a fingerprint that begins so (with 8 digits at least)."""
    older_than: datetime.timedelta
    """Only what is older."""
    namespace: str
    """Whose; by default the connection's."""
    connection: Connection | Path | str
    """Which cluster: one, or a kubeconfig; by default the Wherry that runs here, else as kubectl."""


def cached_results(*, limit: int = 1000, **which: Unpack[Which]) -> list[Task]:
    """Return the tasks whose results may be taken again, newest first.

    Args:
        limit: How many at most.
        **which: See `Which`.

    Raises:
        CompileError: a word of `which` is not known.
        ConfigurationError: there is no cluster.
        ApiError: the pipelines service cannot be asked, or refused.
    """
    setting_names.check("cached_results", which, Which)
    cluster = clusters.choose(which.get("connection"), which.get("namespace", ""))
    chosen = _chosen(cluster.namespace, which)
    found = cluster.call(lambda api: Service(api.transport).cached(chosen, limit=limit))
    return [tasks.of(each) for each in found]


def clear_cache(*, everything: bool = False, **which: Unpack[Which]) -> int:
    """Have results not be taken again; artifacts and history stay. Return of how many tasks.

    Args:
        everything: All of the namespace are meant; else something has to be chosen.
        **which: See `Which`.

    Raises:
        RunError: nothing is chosen, or everything and something.
        CompileError: a word of `which` is not known.
        ConfigurationError: there is no cluster.
        ApiError: the pipelines service cannot be asked, or refused.
    """
    setting_names.check("clear_cache", which, Which)
    cluster = clusters.choose(which.get("connection"), which.get("namespace", ""))
    chosen = _chosen(cluster.namespace, which)
    if everything != (chosen == Chosen(namespace=cluster.namespace)):
        raise RunError(
            "clear_cache: name pipeline, task, run, key or older_than, or nothing of it and "
            "everything=True"
        )
    return cluster.call(lambda api: Service(api.transport).forget(chosen))


def _chosen(namespace: str, which: Which) -> Chosen:
    age, run = which.get("older_than"), which.get("run")
    return Chosen(
        namespace=namespace,
        pipeline=which.get("pipeline", ""),
        task=which.get("task", ""),
        run=run.run_id if run is not None else "",
        key=which.get("key", ""),
        before=datetime.datetime.now(datetime.UTC) - age if age is not None else None,
    )
