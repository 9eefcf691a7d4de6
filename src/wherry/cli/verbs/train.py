"""`wherry train`: start training jobs, look at them, follow, stop and delete them."""

import datetime
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from wherry.cli import columns, failures, session
from wherry.client.clusters import Cluster
from wherry.client.functions.errors import PackagingError
from wherry.objects import metadata
from wherry.training.sdk import jobs, starting
from wherry.training.sdk.errors import FailedError, TrainingError
from wherry.training.sdk.settings import Settings
from wherry.training.sdk.training import Training

_HEADINGS = ["NAME", "KIND", "STATE", "PODS", "AGE"]


def run(options: Namespace) -> int:
    """Do what the second word says.

    Raises:
        CommandError: it cannot be done.
    """
    try:
        return _ACTIONS[options.action](options)
    except (PackagingError, TrainingError) as error:
        raise failures.CommandError(str(error)) from error


def _start(options: Namespace) -> int:
    connection = session.connection(options)
    settings: Settings = {
        "framework": options.framework,
        "workers": options.workers,
        "restarts": options.restarts,
        "args": options.arguments,
        "packages": options.package,
        "env": _pairs("--env", options.env),
        "resources": _pairs("--resource", options.resource),
        "volumes": _pairs("--volume", options.volume),
        "image": options.image,
        "name": options.name,
        "namespace": options.namespace,
        "connection": connection,
    }
    if options.timeout:
        settings["timeout"] = options.timeout
    started = starting.train(options.target, **settings)
    print(f"{_called(started)} started", file=sys.stderr)
    return failures.SUCCESS if options.detach else _to_the_end(started)


def _pairs(option: str, words: list[str]) -> Mapping[str, str]:
    made = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise failures.UsageError(f"{option} {word!r}: want NAME=VALUE")
        made[name] = value
    return made


def _to_the_end(training: Training) -> int:
    try:
        value = training.follow()
    except FailedError as error:
        # The whole traceback stands among the lines above.
        ranks = f" in {', '.join(error.tracebacks)}" if error.tracebacks else ""
        print(f"wherry: {_called(training)} failed{ranks}: {error.reason}", file=sys.stderr)
        return failures.FAILURE
    except KeyboardInterrupt:
        place = f"{training.name} -n {training.namespace}"
        print(
            f"\nIt goes on. `wherry train watch {place}` follows it again; "
            f"`wherry train stop {place}` ends it.",
            file=sys.stderr,
        )
        return failures.INTERRUPTED
    if value is not None:
        print(value)
    print(f"{_called(training)} succeeded", file=sys.stderr)
    return failures.SUCCESS


def _called(training: Training) -> str:
    return f"{training.kind.lower()}/{training.name}"


def _attached(options: Namespace) -> Training:
    return starting.attach(
        options.name, namespace=options.namespace, connection=session.connection(options)
    )


def _watch(options: Namespace) -> int:
    return _to_the_end(_attached(options))


def _logs(options: Namespace) -> int:
    for text in _attached(options).logs(follow=options.follow):
        print(text, flush=True)
    return failures.SUCCESS


def _list(options: Namespace) -> int:
    connection = session.connection(options)
    cluster = Cluster(connection, options.namespace or connection.namespace)
    namespace = None if options.all_namespaces else cluster.namespace
    found = cluster.call(lambda api: jobs.every(api, namespace))
    if not found:
        print("there are no training jobs", file=sys.stderr)
        return failures.SUCCESS
    now = datetime.datetime.now(datetime.UTC)
    rows = [_row(job, obj, now) for job, obj in found]
    headings = _HEADINGS
    if options.all_namespaces:
        headings = ["NAMESPACE", *_HEADINGS]
        rows = [[job.namespace, *row] for (job, _), row in zip(found, rows, strict=True)]
    print("\n".join(columns.lines([headings, *rows], [])))
    return failures.SUCCESS


def _row(job: jobs.Job, obj: Any, now: datetime.datetime) -> list[str]:
    state = job.state(obj)
    counts = [
        f"{sum(each[key] for each in state.replicas.values())} {key}"
        for key in ("active", "succeeded", "failed")
        if any(each[key] for each in state.replicas.values())
    ]
    age = now - metadata.parse_time(obj["metadata"]["creationTimestamp"])
    return [job.name, job.resource.kind, state.phase, ", ".join(counts), columns.span(age)]


def _stop(options: Namespace) -> int:
    training = _attached(options)
    training.stop()
    print(f"{_called(training)} stopped; `wherry train resume {training.name}` starts it anew")
    return failures.SUCCESS


def _resume(options: Namespace) -> int:
    training = _attached(options)
    training.resume()
    print(f"{_called(training)} resumed")
    return failures.SUCCESS


def _delete(options: Namespace) -> int:
    training = _attached(options)
    training.cancel()
    print(f"{_called(training)} deleted")
    return failures.SUCCESS


_ACTIONS: Mapping[str, Callable[[Namespace], int]] = {
    "run": _start,
    "list": _list,
    "logs": _logs,
    "watch": _watch,
    "stop": _stop,
    "resume": _resume,
    "delete": _delete,
}
