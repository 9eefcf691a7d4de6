"""`wherry workflows list|get|watch|wait`: how workflows stand."""

import datetime
import json
import sys
from argparse import Namespace
from collections.abc import Iterable
from typing import Any, Final

from wherry.cli import columns, failures, session, targets, workflow_objects
from wherry.cli.progress import Progress
from wherry.cli.session import Session
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, showing

_HEADINGS: Final = ["NAME", "STATUS", "AGE", "DURATION", "PRIORITY", "MESSAGE"]
_HEAD_WIDTH: Final = 20
_LONGEST: Final = 80
_CLEAR: Final = "\x1b[H\x1b[2J"


def list_(options: Namespace) -> int:
    """Print a table of workflows."""
    return session.run(options, _list)


async def _list(opened: Session, options: Namespace) -> int:
    namespace = None if options.all_namespaces else opened.namespace
    listed = await opened.client.list(kinds.WORKFLOWS, namespace, labels=options.selector)
    wanted = {each for each in options.status.split(",") if each}
    found = [
        each
        for each in listed
        if not wanted or (workflow_objects.phase(each) or "Pending") in wanted
    ]
    if options.output:
        show_objects(found, options.output)
    elif found:
        everywhere = options.all_namespaces
        print("\n".join(columns.newest_first(found, _HEADINGS, _row, everywhere=everywhere)))
    else:
        print("there are no workflows", file=sys.stderr)
    return failures.SUCCESS


def _row(workflow: Object, now: datetime.datetime) -> list[str]:
    told = workflow.get("status") or {}
    age = now - metadata.parse_time(workflow["metadata"]["creationTimestamp"])
    return [
        metadata.name(workflow),
        showing.status(workflow),
        columns.span(age),
        showing.duration(told, now),
        str((workflow.get("spec") or {}).get("priority") or 0),
        columns.cell(told.get("message") or "")[:_LONGEST],
    ]


def show_objects(found: list[Object], output: str) -> None:
    """Print objects as JSON, YAML or by their names; one alone without a list around."""
    if output == "name":
        for each in found:
            print(targets.called(kinds.WORKFLOWS, metadata.name(each)))
        return
    whole: Any = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": found}
    value = found[0] if len(found) == 1 else whole
    if output == "json":
        print(json.dumps(value, indent=2, ensure_ascii=False))
        return
    import yaml  # noqa: PLC0415 - tables do without it

    print(yaml.safe_dump(value, allow_unicode=True), end="")


def get(options: Namespace) -> int:
    """Print the head of a workflow and the tree of its steps."""
    return session.run(options, _get)


async def _get(opened: Session, options: Namespace) -> int:
    workflow, _ = await workflow_objects.find_or_kept(opened, options.name)
    if options.output:
        show_objects([workflow], options.output)
    else:
        print("\n".join(await _drawn(opened, workflow)))
    return failures.SUCCESS


async def _drawn(opened: Session, workflow: Object) -> list[str]:
    found = await step_pods(opened, workflow)
    known = showing.pods(found, kinds.NODE_ID_ANNOTATION)
    now = datetime.datetime.now(datetime.UTC)
    made = [
        f"{name:<{_HEAD_WIDTH}} {value}".rstrip() for name, value in showing.head(workflow, now)
    ]
    rows = showing.steps(workflow, now, marks=_marks(), pods=known)
    return [*made, "", *columns.lines([showing.HEADINGS, *rows], [])] if rows else made


async def step_pods(opened: Session, workflow: Object) -> Iterable[Object]:
    """Return the pods of a workflow's steps that are there; none where they may not be seen."""
    labels = f"{kinds.WORKFLOW_LABEL}={metadata.name(workflow)}"
    try:
        return await opened.client.list(core.PODS, metadata.namespace(workflow), labels=labels)
    except errors.ForbiddenError:
        return []


def _marks() -> showing.Marks:
    drawn = showing.DRAWN
    try:
        "".join((*drawn.phases.values(), drawn.waits, drawn.last)).encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return showing.PLAIN
    return showing.DRAWN


def watch(options: Namespace) -> int:
    """Follow a workflow to its end."""

    async def work(opened: Session, options: Namespace) -> int:
        return await follow(opened, options.name)

    return session.run(options, work)


async def follow(opened: Session, name: str) -> int:
    """Show how a workflow comes on until it has ended; return the exit code.

    On a terminal it is drawn anew at each change; elsewhere only its end is.
    """
    last: Object = {}
    on_terminal = sys.stdout.isatty()
    try:
        with Progress() as progress:
            async for last in workflow_objects.states(opened, name):
                if on_terminal:
                    print(_CLEAR + "\n".join(await _drawn(opened, last)), flush=True)
                else:
                    progress.show(_progress(last))
    except KeyboardInterrupt:
        print(f"\nIt goes on. `wherry workflows watch {name}` follows it again.", file=sys.stderr)
        return failures.INTERRUPTED
    if not on_terminal:
        print("\n".join(await _drawn(opened, last)))
    return code(last)


def _progress(workflow: Object) -> str:
    done = str((workflow.get("status") or {}).get("progress") or "0/0")
    return f"workflow {metadata.name(workflow)}: {showing.status(workflow)}, {done} steps"


def code(workflow: Object) -> int:
    """Return the exit code that tells how a workflow has ended."""
    well = workflow_objects.phase(workflow) == "Succeeded"
    return failures.SUCCESS if well else failures.FAILURE


def wait(options: Namespace) -> int:
    """Wait until workflows have ended."""

    async def work(opened: Session, options: Namespace) -> int:
        return max([await wait_for(opened, name) for name in options.names])

    return session.run(options, work)


async def wait_for(opened: Session, name: str) -> int:
    """Wait until a workflow has ended, and say how; return the exit code."""
    last: Object = {}
    with Progress() as progress:
        async for last in workflow_objects.states(opened, name):
            progress.show(_progress(last))
    message = columns.cell((last.get("status") or {}).get("message") or "")
    print(
        f"{metadata.name(last)} {workflow_objects.phase(last)}"
        + (f": {message}" if message else "")
    )
    return code(last)
