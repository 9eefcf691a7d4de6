"""`wherry pipelines get|diff|lineage`: what became of runs, in what they differ, and what came from what."""

import json
from argparse import Namespace
from typing import Any, Final

from wherry.cli import columns, failures, pipeline_runs, session
from wherry.cli.pipeline_runs import FoundRun
from wherry.cli.session import Session
from wherry.metadata.artifacts import uris
from wherry.metadata.lineage import Lineage
from wherry.metadata.records import Artifact, Execution
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines import naming
from wherry.pipelines.looking import comparing, plain, tree, words
from wherry.pipelines.looking.comparing import Difference, Side
from wherry.pipelines.service import Reason, Service

_TASKS: Final = ["TASK", "STATE", "DURATION", "CACHE"]
_MOST_SHOWN: Final = 200
_MOST_TOLD: Final = 20
_NONE: Final = "-"


def get(options: Namespace) -> int:
    """Tell of a run and its tasks."""
    return session.run(options, _get)


async def _get(opened: Session, options: Namespace) -> int:
    found = await pipeline_runs.find(opened, options.name)
    reasons: dict[str, Reason] = {}
    if found.tasks:
        async with pipeline_runs.asking(opened) as service:
            reasons = await service.reasons(found.uid)
    if options.output == "json":
        _print_json(
            {
                "name": found.name,
                "uid": found.uid,
                "state": found.state,
                "status": found.manifest.get("status") or {},
                "tasks": [
                    {
                        **plain.task(each),
                        "cacheReason": str(reasons.get(each.path) or each.cache_reason),
                    }
                    for each in found.tasks
                ],
                "complete": found.complete,
            }
        )
        return failures.SUCCESS
    print("\n".join([*_about(found), "", *_table(found, reasons)]))
    return failures.SUCCESS


async def cached(opened: Session, run: Object) -> list[str]:
    """Return a line for each step of which the cache has something to tell; the first ones, if many."""
    uid = naming.run_id(run)
    try:
        reasons = await Service(opened.transport).reasons(uid)
    except errors.ApiError:
        return []  # how the run has ended is told in any case
    told = [
        f"{each.path.removeprefix('root/')}: {each}" for each in reasons.values() if each.compared
    ]
    more = [f"… {len(told) - _MOST_TOLD} more: wherry pipelines get {metadata.name(run)}"]
    return told[:_MOST_TOLD] + (more if len(told) > _MOST_TOLD else [])


def _about(found: FoundRun) -> list[str]:
    told: dict[str, Any] = found.manifest.get("status") or {}
    facts = {
        "run": found.name + ("" if found.manifest else " (deleted; what is left of it)"),
        "id": found.uid,
        "pipeline": told.get("pipelineName") or (found.root.pipeline if found.root else ""),
        "state": f"{found.state} {told.get('progress', '')}".strip(),
        "started": told.get("startTime", ""),
        "duration": _duration(found),
        "root": told.get("pipelineRoot", ""),
        "message": told.get("message", ""),
    }
    made = [f"{name + ':':<11}{words.value(each)}" for name, each in facts.items() if each]
    values = (("parameters", found.parameters), ("outputs", told.get("outputs")))
    for name, listed in values:
        made += [f"{name}:"] if listed else []
        made += [f"  {key}: {words.value(each)}" for key, each in (listed or {}).items()]
    return made


def _duration(found: FoundRun) -> str:
    told: dict[str, Any] = found.manifest.get("status") or {}
    begun, ended = told.get("startTime"), told.get("completionTime")
    if not begun or not ended:
        return ""
    return words.duration((metadata.parse_time(ended) - metadata.parse_time(begun)).total_seconds())


def _table(found: FoundRun, reasons: dict[str, Reason]) -> list[str]:
    steps = [each for each in found.tasks if words.is_step(each)]
    rows = [
        [
            words.path(each),
            each.state,
            words.duration(words.lasted(each)) or _NONE,
            str(reasons.get(each.path) or each.cache_reason or _NONE),
        ]
        for each in steps[:_MOST_SHOWN]
    ]
    made = columns.lines([_TASKS, *rows], []) if rows else ["no task has begun"]
    left = len(steps) - _MOST_SHOWN
    return [*made, f"… {left} more: -o json shows all"] if left > 0 else made


def diff(options: Namespace) -> int:
    """Tell in what two runs differ; the exit code says whether they do."""
    return session.run(options, _diff)


async def _diff(opened: Session, options: Namespace) -> int:
    found = [await pipeline_runs.find(opened, each) for each in (options.first, options.second)]
    one, other = (each.side() for each in found)
    differences = comparing.compare(one, other)
    lasted = comparing.durations(one, other)
    if options.output == "json":
        told = plain.comparison(one, other, differences, lasted)
        _print_json({**told, "complete": all(each.complete for each in found)})
    else:
        print("\n".join(_differences(one, other, differences, lasted)))
    return failures.FAILURE if differences else failures.SUCCESS


def _differences(
    one: Side,
    other: Side,
    differences: list[Difference],
    lasted: list[tuple[str, float | None, float | None]],
) -> list[str]:
    rows = [["", one.name, other.name]]
    section = ""
    for each in differences:
        if each.section != section:
            section = each.section
            rows.append([section.upper(), "", ""])
        rows.append([f"  {each.what}", _side(each.first), _side(each.second)])
    if not differences:
        rows.append(["they do not differ", "", ""])
    if lasted:
        rows.append(["DURATIONS", "", ""])
    rows += [
        [f"  {path.removeprefix('root/')}", *(words.duration(each) or _NONE for each in (a, b))]
        for path, a, b in lasted[:_MOST_SHOWN]
    ]
    return columns.lines(rows, [])


def _side(value: Any) -> str:
    return _NONE if value is None else words.value(value)


def lineage(options: Namespace) -> int:
    """Tell what something came from, and what became of it."""
    return session.run(options, _lineage)


async def _lineage(opened: Session, options: Namespace) -> int:
    start = await _start(opened, options.of)
    depth = {"up": options.up, "down": options.down, "limit": options.limit}
    async with pipeline_runs.asking(opened) as service:
        found = await service.lineage(**start, **depth)
    if options.output == "json":
        _print_json(plain.lineage(found))
        return failures.SUCCESS
    print("\n".join(_shown(found, start)))
    return failures.SUCCESS


def _shown(found: Lineage, start: dict[str, str | int]) -> list[str]:
    if "run_id" in start:
        return tree.of_run(found, str(start["run_id"]))
    if "execution_id" in start:
        return tree.of_execution(found, int(start["execution_id"]))
    if "artifact_id" in start:
        return tree.of_artifact(found, int(start["artifact_id"]))
    wanted = uris.normal(str(start["uri"]))
    return tree.of_artifact(found, max(n for n, a in found.artifacts.items() if a.uri == wanted))


async def _start(opened: Session, word: str) -> dict[str, str | int]:
    """Return what is meant: a URI, a run, a task of it, or an output of that.

    Raises:
        CommandError: there is no such thing.
    """
    if "://" in word or word.startswith("/"):
        return {"uri": word, "namespace": opened.namespace}
    name, slash, place = word.partition("/")
    found = await pipeline_runs.find(opened, name)
    if not slash:
        return {"run_id": found.uid}
    task = _task(found.tasks, place)
    if task is not None:
        return {"execution_id": task.id}
    above, _, output = place.rpartition("/")
    task = _task(found.tasks, above)
    made = _output(task, output) if task is not None else None
    if made is None:
        steps = [words.path(each) for each in found.tasks if words.is_step(each)]
        told = ", ".join(
            [f"{task.name}/{each}" for each in task.outputs.artifacts] if task else steps
        )
        raise failures.CommandError(f"{word}: there is no {place!r} in run {name}; there is {told}")
    return {"artifact_id": made.id}


def _task(tasks: tuple[Execution, ...], place: str) -> Execution | None:
    """Return a task by its place below the root, or by its name where that is one's alone."""
    for each in tasks:
        if place in {words.path(each), each.path}:
            return each
    named = [each for each in tasks if each.name == place]
    return named[0] if len(named) == 1 else None


def _output(task: Execution, name: str) -> Artifact | None:
    return next(iter(task.outputs.artifacts.get(name, ())), None)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))
