"""`wherry logs`: what a container wrote; of an owner, one of its pods is chosen."""

import asyncio
import re
import sys
import time
from argparse import Namespace
from urllib.parse import quote, urlencode

from wherry.cli import failures, owners, session, targets
from wherry.cli.progress import Progress
from wherry.cli.session import Session
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_WAITING = re.compile(r"waiting to start|not available|ContainerCreating|PodInitializing")
_START_SECONDS = 300.0
_POLL_SECONDS = 0.2


def run(options: Namespace) -> int:
    """Print a container's output; with ``--follow`` until it ends."""
    if options.tail is not None and options.tail < -1:
        raise failures.UsageError("--tail: want a number of lines, or -1 for all")
    return session.run(options, _logs)


async def _logs(opened: Session, options: Namespace) -> int:
    pod = await _pod(opened, options.object)
    asked = {
        "container": options.container or _container(pod),
        "follow": "true" if options.follow else "",
        "previous": "true" if options.previous else "",
        "timestamps": "true" if options.timestamps else "",
        "tailLines": str(options.tail) if options.tail not in {None, -1} else "",
    }
    query = urlencode({key: value for key, value in asked.items() if value})
    path = kinds.PODS.path(metadata.namespace(pod), metadata.name(pod), "log")
    await _print(opened, f"{quote(path)}?{query}", pod, patient=options.follow)
    return failures.SUCCESS


async def _print(opened: Session, path: str, pod: Object, *, patient: bool) -> None:
    """Copy a log to stdout; wait for the container to start where it is to be followed.

    Raises:
        CommandError: there is no log (yet).
    """
    deadline = time.monotonic() + _START_SECONDS
    name = metadata.name(pod)
    with Progress() as progress:
        while True:
            try:
                async for chunk in opened.transport.stream(path):
                    progress.__exit__()
                    sys.stdout.buffer.write(chunk)
                    sys.stdout.buffer.flush()
            except errors.BadRequestError as error:
                waits = _WAITING.search(error.message)
                if not (waits and patient and time.monotonic() < deadline):
                    hint = f"; `wherry why pod/{name}` says what it waits for" if waits else ""
                    raise failures.CommandError(f"{error.message}{hint}") from error
                progress.show(f"waiting for pod/{name} to start")
                await asyncio.sleep(_POLL_SECONDS)
            else:
                return


async def _pod(opened: Session, text: str) -> Object:
    if "/" not in text:
        return await opened.client.get(kinds.PODS, text, opened.namespace)
    (target, *others) = await targets.parse([text], opened.resources)
    if others or not target.names:
        raise failures.UsageError(f"{text!r}: want one POD or KIND/NAME")
    obj = await opened.client.get(target.resource, target.names[0], opened.namespace)
    if target.resource.key == kinds.PODS.key:
        return obj
    selector = owners.pod_selector(obj)
    if selector is None:
        raise failures.CommandError(
            f"{text} has no pods of its own; name a pod, or who selects some"
        )
    pods = await opened.client.list(kinds.PODS, opened.namespace, labels=str(selector))
    if not pods.items:
        raise failures.CommandError(f"{text} has no pods; `wherry why {text}` says why")
    chosen = max(pods.items, key=owners.telling)
    if len(pods) > 1:
        print(f"{text} has {len(pods)} pods; this is pod/{metadata.name(chosen)}", file=sys.stderr)
    return chosen


def _container(pod: Object) -> str:
    names = [str(container["name"]) for container in pod["spec"]["containers"]]
    chosen = metadata.annotations(pod).get(_DEFAULT_CONTAINER, names[0])
    if len(names) > 1:
        print(
            f"container {chosen} of {', '.join(names)}; choose another with --container",
            file=sys.stderr,
        )
    return chosen
