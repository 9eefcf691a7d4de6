"""`wherry tune`: start searches, look at them, follow, stop and resume them."""

import datetime
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from wherry.cli import columns, failures, session
from wherry.client.clusters import Cluster
from wherry.client.functions.errors import PackagingError
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import kinds
from wherry.tuning.sdk import results, space, starting
from wherry.tuning.sdk.errors import FailedSearchError, TuningError
from wherry.tuning.sdk.results import Trial
from wherry.tuning.sdk.search import Search
from wherry.tuning.sdk.settings import Settings

_HEADINGS = ["NAME", "ALGORITHM", "STATE", "TRIALS", "BEST", "AGE"]


def run(options: Namespace) -> int:
    """Do what the second word says.

    Raises:
        CommandError: it cannot be done.
    """
    try:
        return _ACTIONS[options.action](options)
    except (PackagingError, TuningError, ImportError) as error:
        raise failures.CommandError(str(error)) from error


def _start(options: Namespace) -> int:
    searched = {
        name: _dimension(name, text) for name, text in _pairs("--param", options.param).items()
    }
    settings: Settings = {
        "objective": options.objective,
        "algorithm": options.algorithm,
        "algorithm_settings": _pairs("--setting", options.setting),
        "max_trials": options.max_trials,
        "parallel": options.parallel,
        "metrics": options.metric,
        "early_stopping": options.early_stopping,
        "early_stopping_settings": _pairs(
            "--early-stopping-setting", options.early_stopping_setting
        ),
        "args": options.arguments,
        "packages": options.package,
        "env": _pairs("--env", options.env),
        "resources": _pairs("--resource", options.resource),
        "volumes": _pairs("--volume", options.volume),
        "image": options.image,
        "name": options.name,
        "namespace": options.namespace,
        "connection": session.connection(options),
    }
    if options.goal is not None:
        settings["goal"] = options.goal
    if options.max_failed is not None:
        settings["max_failed"] = options.max_failed
    if options.timeout:
        settings["timeout"] = options.timeout
    started = starting.tune(options.target, searched, **settings)
    print(f"search {started.name} started", file=sys.stderr)
    return failures.SUCCESS if options.detach else _to_the_end(started)


def _pairs(option: str, words: list[str]) -> Mapping[str, str]:
    made = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise failures.UsageError(f"{option} {word!r}: want NAME=VALUE")
        made[name] = value
    return made


def _dimension(name: str, text: str) -> space.Dimension:
    """Read what is searched: ``1..4``, ``1e-4..0.1:log``, ``0..1:step=0.1`` or ``sgd,adam``."""
    bounds, *words = text.split(":")
    low, dots, high = bounds.partition("..")
    if not dots:
        return space.choice([_value(each) for each in text.split(",")])
    first, last = _value(low), _value(high)
    step = next((_value(each[5:]) for each in words if each.startswith("step=")), None)
    others = {each for each in words if not each.startswith("step=")}
    if isinstance(first, str) or isinstance(last, str) or isinstance(step, str) or others - {"log"}:
        want = "LOW..HIGH, LOW..HIGH:log, LOW..HIGH:step=STEP or A,B,C"
        raise failures.UsageError(f"--param {name}={text}: want {want}")
    if isinstance(first, int) and isinstance(last, int) and not isinstance(step, float):
        return space.integers(first, last, step=step, log="log" in others)
    return space.log_uniform(first, last) if others else space.uniform(first, last, step=step)


def _value(text: str) -> int | float | str:
    for reader in (int, float):
        try:
            return reader(text)
        except ValueError:
            continue
    return text


def _to_the_end(search: Search) -> int:
    try:
        best = search.follow()
    except FailedSearchError as error:
        print(f"wherry: {error}", file=sys.stderr)
        return failures.FAILURE
    except KeyboardInterrupt:
        place = f"{search.name} -n {search.namespace}"
        print(
            f"\nIt goes on. `wherry tune watch {place}` follows it again; "
            f"`wherry tune stop {place}` ends it.",
            file=sys.stderr,
        )
        return failures.INTERRUPTED
    _show(best)
    return failures.SUCCESS


def _found(options: Namespace) -> Search:
    return starting.find_search(
        options.name, namespace=options.namespace, connection=session.connection(options)
    )


def _watch(options: Namespace) -> int:
    return _to_the_end(_found(options))


def _best(options: Namespace) -> int:
    search = _found(options)
    best = search.best
    if best is None:
        raise failures.CommandError(f"search {search.name}: no trial has a value yet")
    if options.output == "json":
        print(json.dumps(best.row() | {"parameters": dict(best.parameters)}))
    else:
        _show(best)
    return failures.SUCCESS


def _show(best: Trial) -> None:
    print(f"best trial {best.name} (number {best.number})")
    for name, value in (*best.metrics.items(), *best.parameters.items()):
        print(f"  {name}: {value}")


def _trials(options: Namespace) -> int:
    rows = [each.row() for each in _found(options).trials()]
    if options.output == "json":
        print(json.dumps(rows))
        return failures.SUCCESS
    headings = list(dict.fromkeys(name for row in rows for name in row))
    shown = [[_text(row.get(name)) for name in headings] for row in rows]
    titles = [each.rpartition(".")[2].upper() for each in headings]
    print("\n".join(columns.lines([titles, *shown], [])))
    return failures.SUCCESS


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plot(options: Namespace) -> int:
    _found(options).plot(options.kind).savefig(options.to)
    print(options.to)
    return failures.SUCCESS


def _list(options: Namespace) -> int:
    connection = session.connection(options)
    cluster = Cluster(connection, options.namespace or connection.namespace)
    namespace = None if options.all_namespaces else cluster.namespace
    listed = cluster.call(lambda api: api.client.list(kinds.EXPERIMENTS, namespace))
    if not listed.items:
        print("there are no searches", file=sys.stderr)
        return failures.SUCCESS
    everywhere = options.all_namespaces
    print("\n".join(columns.newest_first(listed, _HEADINGS, _row, everywhere=everywhere)))
    return failures.SUCCESS


def _row(experiment: Object, now: datetime.datetime) -> list[str]:
    progress = results.progress(experiment)
    algorithm = (experiment["spec"].get("algorithm") or {}).get("algorithmName", "")
    age = now - metadata.parse_time(experiment["metadata"]["creationTimestamp"])
    of = "" if progress.total is None else f"/{progress.total}"
    return [
        metadata.name(experiment),
        str(algorithm),
        progress.phase,
        f"{progress.done}{of}",
        progress.best or "-",
        columns.span(age),
    ]


def _stop(options: Namespace) -> int:
    search = _found(options)
    search.stop()
    print(f"search {search.name} stopped; `wherry tune resume {search.name}` takes it up again")
    return failures.SUCCESS


def _resume(options: Namespace) -> int:
    search = _found(options)
    search.resume(options.max_trials, parallel=options.parallel)
    print(f"search {search.name} goes on, up to {options.max_trials} trials")
    return failures.SUCCESS


def _delete(options: Namespace) -> int:
    search = _found(options)
    search.delete()
    print(f"search {search.name} deleted")
    return failures.SUCCESS


_ACTIONS: Mapping[str, Callable[[Namespace], int]] = {
    "run": _start,
    "list": _list,
    "watch": _watch,
    "best": _best,
    "trials": _trials,
    "plot": _plot,
    "stop": _stop,
    "resume": _resume,
    "delete": _delete,
}
