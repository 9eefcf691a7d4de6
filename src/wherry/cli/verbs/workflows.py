"""`wherry workflows`: submit Argo's workflows, look at them, hold, end and repeat them."""

import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from wherry.cli import (
    failures,
    manifests,
    session,
    workflow_kinds,
    workflow_logs,
    workflow_looks,
    workflow_objects,
)
from wherry.cli.session import Session
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, operations, submitting


def run(options: Namespace) -> int:
    """Do what the second word says.

    Raises:
        CommandError: it cannot be done.
    """
    try:
        return _ACTIONS[options.action](options)
    except errors.BadRequestError as error:
        raise failures.CommandError(error.message) from error


def _submit(options: Namespace) -> int:
    if bool(options.files) == bool(options.source):
        raise failures.UsageError("name files, or with --from what a workflow is made of")
    return session.run(options, _submitted)


async def _submitted(opened: Session, options: Namespace) -> int:
    made = []
    async for workflow in _wanted(opened, options):
        made.append(await opened.client.create(kinds.WORKFLOWS, workflow))
        name = metadata.name(made[-1])
        if not options.output:
            print(f"workflow {name} submitted", file=sys.stderr)
    if options.output:
        workflow_looks.show_objects(made, options.output)
    return max([await _followed(opened, options, each) for each in made], default=failures.SUCCESS)


async def _wanted(opened: Session, options: Namespace) -> AsyncIterator[Object]:
    """Yield what is to be made, all of it read before the first is made.

    Raises:
        CommandError: something else than a workflow is meant.
    """
    found = [await _of_source(opened, options.source)] if options.source else _of_files(options)
    told = {
        "name": options.name,
        "generateName": options.generate_name,
        "entryPoint": options.entrypoint,
        "serviceAccount": options.serviceaccount,
        "labels": options.labels,
        "priority": options.priority,
        "parameters": options.parameter,
    }
    if options.name and len(found) > 1:
        raise failures.UsageError(f"--name: there are {len(found)} workflows in these files")
    for each in [submitting.with_options(each, told) for each in found]:
        given = metadata.namespace(each)
        namespace = opened.namespace if opened.chosen or not given else given
        if given and given != namespace:
            raise failures.CommandError(f"the file says namespace {given!r}, -n says {namespace!r}")
        yield {**each, "metadata": {**each["metadata"], "namespace": namespace}}


def _of_files(options: Namespace) -> list[Object]:
    found = []
    for manifest in manifests.read(options.files, generated=True):
        if manifest.error:
            raise failures.CommandError(f"{manifest.place}: {manifest.error}")
        kind = manifest.obj["kind"]
        if kind != kinds.WORKFLOWS.kind or not isinstance(manifest.obj.get("spec"), dict):
            raise failures.CommandError(
                f"{manifest.place}: kind {kind}: want a Workflow with a spec; `wherry apply` makes "
                "other objects"
            )
        found.append(manifest.obj)
    return found


async def _of_source(opened: Session, word: str) -> Object:
    kind, _, name = word.partition("/")
    if not name:
        raise failures.UsageError(f"--from {word!r}: want KIND/NAME")
    resource = submitting.source(kind, "--from")
    namespace = opened.namespace if resource.namespaced else None
    return submitting.made_of(resource, await opened.client.get(resource, name, namespace))


async def _followed(opened: Session, options: Namespace, workflow: Object) -> int:
    name = metadata.name(workflow)
    if options.watch:
        return await workflow_looks.follow(opened, name)
    if options.wait:
        return await workflow_looks.wait_for(opened, name)
    if options.log:
        return await workflow_logs.follow(opened, name)
    return failures.SUCCESS


def _changing(
    word: str, change: Callable[[Object, Namespace], Object]
) -> Callable[[Namespace], int]:
    async def work(opened: Session, options: Namespace) -> int:
        for name in options.names:
            changed = await workflow_objects.change(
                opened, name, lambda workflow: change(workflow, options)
            )
            print(f"workflow {metadata.name(changed)} {word}")
        return failures.SUCCESS

    return lambda options: session.run(options, work)


def _retry(options: Namespace) -> int:
    def again(workflow: Object) -> Object:
        return operations.retry(
            workflow, options.restart_successful, options.node_field_selector, options.parameter
        )

    async def work(opened: Session, options: Namespace) -> int:
        found, is_there = await workflow_objects.find_or_kept(opened, options.name)
        if is_there:
            made = await workflow_objects.change(opened, metadata.name(found), again)
        else:
            made = await opened.client.create(kinds.WORKFLOWS, operations.anew(again(found)))
        print(f"workflow {metadata.name(made)} goes on", file=sys.stderr)
        return await _followed(opened, options, made)

    return session.run(options, work)


def _resubmit(options: Namespace) -> int:
    async def work(opened: Session, options: Namespace) -> int:
        found, _ = await workflow_objects.find_or_kept(opened, options.name)
        wanted = operations.resubmit(found, parameters=options.parameter)
        made = await opened.client.create(kinds.WORKFLOWS, wanted)
        if options.output:
            workflow_looks.show_objects([made], options.output)
        else:
            print(f"workflow {metadata.name(made)} submitted", file=sys.stderr)
        return await _followed(opened, options, made)

    return session.run(options, work)


def _delete(options: Namespace) -> int:
    if bool(options.names) == (options.all or options.completed):
        raise failures.UsageError("name workflows, or say --all or --completed")

    async def work(opened: Session, options: Namespace) -> int:
        names = options.names
        if not names:
            listed = await opened.client.list(kinds.WORKFLOWS, opened.namespace)
            chosen = [each for each in listed if options.all or workflow_objects.has_ended(each)]
            names = [metadata.name(each) for each in chosen]
        for name in names:
            found = metadata.name(await workflow_objects.find(opened, name))
            await opened.client.delete(kinds.WORKFLOWS, found, opened.namespace)
            print(f"workflow {found} deleted")
        return failures.SUCCESS

    return session.run(options, work)


_ACTIONS: Final[Mapping[str, Callable[[Namespace], int]]] = {
    "submit": _submit,
    "list": workflow_looks.list_,
    "get": workflow_looks.get,
    "watch": workflow_looks.watch,
    "wait": workflow_looks.wait,
    "logs": workflow_logs.logs,
    "suspend": _changing("suspended", lambda workflow, _: operations.suspend(workflow)),
    "resume": _changing(
        "resumed",
        lambda workflow, options: operations.resume(workflow, options.node_field_selector),
    ),
    "stop": _changing(
        "stopped",
        lambda workflow, options: operations.stop(
            workflow, options.node_field_selector, options.message
        ),
    ),
    "terminate": _changing("terminated", lambda workflow, _: operations.terminate(workflow)),
    "retry": _retry,
    "resubmit": _resubmit,
    "delete": _delete,
    "lint": workflow_kinds.lint,
    "cron": workflow_kinds.cron,
    "template": workflow_kinds.templates,
}
