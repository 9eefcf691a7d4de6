"""`wherry delete`: ask for objects' deletion, and wait until they are gone."""

import asyncio
import sys
import time
from argparse import Namespace
from dataclasses import dataclass

from wherry.cli import failures, manifests, session, targets
from wherry.cli.progress import Progress
from wherry.cli.session import Session
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_POLL_SECONDS = (0.02, 0.5)


@dataclass(frozen=True, slots=True)
class _Doomed:
    resource: Resource
    name: str
    namespace: str

    def __str__(self) -> str:
        return targets.called(self.resource, self.name)


def run(options: Namespace) -> int:
    """Delete what was named; fail if something was not there or does not go."""
    if bool(options.objects) == bool(options.filename):
        raise failures.UsageError("name objects (KIND NAME… or KIND/NAME…), or files with -f")
    if options.selector and options.all:
        raise failures.UsageError("--selector and --all exclude one another")
    return session.run(options, _delete)


async def _delete(opened: Session, options: Namespace) -> int:
    doomed, code = await _doomed(opened, options)
    asked = []
    for each in doomed:
        try:
            answer = await opened.client.delete(
                each.resource,
                each.name,
                each.namespace,
                grace_period_seconds=options.grace_period,
                propagation_policy=(options.cascade or "background").capitalize(),
            )
        except errors.ApiError as error:
            if not (options.ignore_not_found and isinstance(error, errors.NotFoundError)):
                print(f"wherry: {error}", file=sys.stderr)
                code = failures.FAILURE
            continue
        print(f'{targets.called(each.resource, "").rstrip("/")} "{each.name}" deleted', flush=True)
        asked.append((each, _uid(answer)))
    if options.wait:
        await _wait(opened, asked, options.timeout)
    return code


async def _doomed(opened: Session, options: Namespace) -> tuple[list[_Doomed], int]:
    if options.filename:
        return await _of_files(opened, options.filename)
    doomed: list[_Doomed] = []
    for target in await targets.parse(options.objects, opened.resources):
        namespace = opened.namespace if target.resource.namespaced else ""
        names = target.names
        if not names:
            if not options.selector and not options.all:
                raise failures.UsageError(
                    f"which {target.resource.plural}? Give names, a selector (-l) or --all"
                )
            listed = await opened.client.list(
                target.resource, namespace or None, labels=options.selector
            )
            names = tuple(metadata.name(obj) for obj in listed)
        doomed += [_Doomed(target.resource, name, namespace) for name in names]
    return doomed, failures.SUCCESS


async def _of_files(opened: Session, names: list[str]) -> tuple[list[_Doomed], int]:
    doomed, code = [], failures.SUCCESS
    for manifest in manifests.read(names):
        try:
            if manifest.error:
                raise failures.CommandError(manifest.error)
            obj = manifest.obj
            resource = await opened.resources.by_kind(obj["apiVersion"], obj["kind"])
        except (errors.ApiError, failures.CommandError) as error:
            print(f"wherry: {manifest.place}: {error}", file=sys.stderr)
            code = failures.FAILURE
            continue
        own = metadata.namespace(obj) or opened.namespace
        namespace = own if resource.namespaced else ""
        doomed.append(_Doomed(resource, metadata.name(obj), namespace))
    return doomed, code


def _uid(answer: Object) -> str:
    details = answer.get("details") or {}
    return metadata.uid(answer) or str(details.get("uid", ""))


async def _wait(opened: Session, asked: list[tuple[_Doomed, str]], timeout_seconds: float) -> None:
    """Wait until all are gone.

    Raises:
        CommandError: they are not, after the time that was given.
    """
    deadline = time.monotonic() + timeout_seconds if timeout_seconds else float("inf")
    with Progress() as progress:
        for each, uid in asked:
            pause = _POLL_SECONDS[0]
            while (left := await _left(opened, each, uid)) is not None:
                why = _holders(left)
                if time.monotonic() > deadline:
                    raise failures.CommandError(
                        f"{each} is still there after {timeout_seconds:g} s{why}; "
                        f"`wherry why {each}` says more"
                    )
                progress.show(f"waiting for {each} to go{why}")
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _POLL_SECONDS[1])


async def _left(opened: Session, each: _Doomed, uid: str) -> Object | None:
    try:
        obj = await opened.client.get(each.resource, each.name, each.namespace)
    except errors.NotFoundError:
        return None
    return obj if metadata.uid(obj) == uid or not uid else None


def _holders(obj: Object) -> str:
    finalizers = obj["metadata"].get("finalizers") or (obj.get("spec") or {}).get("finalizers")
    return f", held by finalizers {', '.join(finalizers)}" if finalizers else ""
