"""`wherry workflows logs`: what the steps of a workflow write, or have written."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from wherry.cli import failures, session, workflow_looks, workflow_objects
from wherry.cli.session import Session
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, names, nodes, showing

_LOOK_SECONDS: Final = 0.5
"""How often it is looked what has begun, where a workflow is followed."""
MAIN: Final = "main"


def logs(options: Namespace) -> int:
    """Print what steps write, each line after the name of its pod."""

    async def work(opened: Session, options: Namespace) -> int:
        return await _print(opened, options)

    return session.run(options, work)


async def _print(opened: Session, options: Namespace) -> int:
    workflow, there = await workflow_objects.find_or_kept(opened, options.name)
    reader = _Reader(opened, options.container, options.step)
    if options.follow and there:
        await reader.follow(metadata.name(workflow))
    else:
        for pod in await reader.fresh(workflow):
            await reader.print(workflow, pod, follow=False)
    if not reader.told:
        what = f"no step {options.step!r} of" if options.step else "no step of"
        raise failures.CommandError(f"{what} workflow {metadata.name(workflow)} has begun")
    return failures.SUCCESS


async def follow(opened: Session, name: str) -> int:
    """Print what steps write until their workflow has ended; return the exit code."""
    last = await _Reader(opened, MAIN, "").follow(name)
    return workflow_looks.code(last)


@dataclass
class _Reader:
    """Prints the logs of one workflow.

    Attributes:
        opened: The way to the cluster.
        container: Of the pods.
        step: Name, id or pod of the nodes that are meant; empty: all.
        told: Pods whose logs were printed, or are.
    """

    opened: Session
    container: str
    step: str
    told: set[str] = field(default_factory=set)

    async def follow(self, name: str) -> Object:
        """Print what steps write until the workflow has ended; return it as it is then."""
        try:
            async with asyncio.TaskGroup() as following:
                while True:
                    found = await workflow_objects.find(self.opened, name)
                    for pod in await self.fresh(found):
                        following.create_task(self.print(found, pod, follow=True))
                    if workflow_objects.has_ended(found):
                        break
                    await asyncio.sleep(_LOOK_SECONDS)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        # Whose containers were still being started when they were asked; by now they have said all.
        for pod in await self.fresh(found):
            await self.print(found, pod, follow=False)
        return found

    async def fresh(self, workflow: Object) -> list[str]:
        """Return the pods that have begun since it was last asked, the first ones first."""
        there = await workflow_looks.step_pods(self.opened, workflow)
        known = showing.pods(there, kinds.NODE_ID_ANNOTATION)
        found = [
            (str(node.get("startedAt") or ""), known.get(key) or _pod(workflow, node))
            for key, node in nodes.stored(workflow).items()
            if node.get("type") == "Pod"
            and node.get("phase") != "Pending"
            and self._is_meant(node, known.get(key))
        ]
        fresh = [pod for _, pod in sorted(found) if pod not in self.told]
        self.told.update(fresh)
        return fresh

    def _is_meant(self, node: Object, pod: str | None) -> bool:
        return self.step in {"", node.get("displayName"), node.get("name"), node.get("id"), pod}

    async def print(self, workflow: Object, pod: str, *, follow: bool) -> None:
        """Print the log of a pod."""
        try:
            async for line in self._lines(workflow, pod, follow=follow):
                print(f"{pod}: {line}", flush=True)
        except errors.NotFoundError as error:
            print(f"{pod}: {error.message}", flush=True)
        except errors.BadRequestError:
            # Its container is still being started.
            self.told.discard(pod)

    async def _lines(self, workflow: Object, pod: str, *, follow: bool) -> AsyncIterator[str]:
        where = metadata.namespace(workflow)
        try:
            async for line in self.opened.client.log_lines(
                pod, where, container=self.container, follow=follow
            ):
                yield line
        except errors.NotFoundError:
            async for line in workflow_objects.kept_lines(
                self.opened, workflow, pod, self.container
            ):
                yield line


def _pod(workflow: Object, node: Object) -> str:
    template = (node.get("templateRef") or {}).get("template") or node.get("templateName") or ""
    return names.pod(metadata.name(workflow), str(node.get("name") or ""), str(template))
