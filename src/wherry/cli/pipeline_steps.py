"""`wherry pipelines logs|retry`: what the steps of a run have said, and which of them are done again."""

import asyncio
import sys
from argparse import Namespace
from typing import Final

from wherry.cli import failures, pipeline_runs, session
from wherry.cli.pipeline_runs import FoundRun
from wherry.cli.session import Session
from wherry.metadata.records import Execution
from wherry.objects import errors
from wherry.pipelines import kinds
from wherry.pipelines.looking import words

_LOOK_SECONDS: Final = 1.0
"""How often it is looked what has begun, where a run is followed."""


def logs(options: Namespace) -> int:
    """Print what steps say, or have said."""
    return session.run(options, _logs)


async def _logs(opened: Session, options: Namespace) -> int:
    if options.follow:
        return await _follow(opened, options)
    found = await pipeline_runs.find(opened, options.name)
    steps = [each for each in found.tasks if _is_meant(each, options.task)]
    if not steps:
        what = f"no task {options.task} of run" if options.task else "no task of run"
        raise failures.CommandError(f"{what} {options.name} has begun")
    for step in steps:
        await _print_log(opened, found, step, options.attempt)
    return failures.SUCCESS


async def _follow(opened: Session, options: Namespace) -> int:
    """Print what steps say as they say it, each line after its step's place, until the run has ended."""
    told: set[tuple[str, int]] = set()
    try:
        found = await _follow_all(opened, options, told)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    # Whose containers were still being started when they were asked; by now they have said all.
    for step in _untold(found, options.task, told):
        await _print_lines(opened, found.uid, step, told)
    if not told:
        raise failures.CommandError(f"no task of run {options.name} has begun")
    return failures.SUCCESS


async def _follow_all(opened: Session, options: Namespace, told: set[tuple[str, int]]) -> FoundRun:
    """Print what steps say until the run has ended; return it as it is then."""
    async with asyncio.TaskGroup() as following:
        while True:
            found = await pipeline_runs.find(opened, options.name)
            for step in _untold(found, options.task, told):
                following.create_task(_print_lines(opened, found.uid, step, told))
            if found.state in kinds.FINAL_STATES:
                return found
            await asyncio.sleep(_LOOK_SECONDS)


def _untold(found: FoundRun, task: str, told: set[tuple[str, int]]) -> list[Execution]:
    """Return the attempts of steps that have begun since it was last asked."""
    steps = [
        each
        for each in found.tasks
        if _is_meant(each, task) and (each.path, each.attempt) not in told
    ]
    told.update((each.path, each.attempt) for each in steps)
    return steps


async def _print_lines(
    opened: Session, uid: str, step: Execution, told: set[tuple[str, int]]
) -> None:
    place = words.path(step)
    try:
        async with pipeline_runs.asking(opened) as service:
            async for line in service.follow(uid, step.path, attempt=step.attempt):
                print(f"[{place}] {line}", flush=True)
    except errors.NotFoundError as error:
        print(f"[{place}] {error.message}", flush=True)
    except errors.BadRequestError:
        # Its container is still being started.
        told.discard((step.path, step.attempt))


def _is_meant(row: Execution, task: str) -> bool:
    named = {"", row.path, words.path(row), row.name}
    return words.is_step(row) and bool(row.started) and task in named


async def _print_log(
    opened: Session, found: FoundRun, step: Execution, attempt: int | None
) -> None:
    number = step.attempt if attempt is None else attempt
    print(f"==> {step.path}" + (f", attempt {number}" if number else "") + " <==", flush=True)
    try:
        async with pipeline_runs.asking(opened) as service:
            text = await service.log(found.uid, step.path, attempt=attempt)
    except (errors.NotFoundError, errors.BadRequestError) as error:
        print(error.message)
        return
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def retry(options: Namespace) -> int:
    """Take a run up again that has ended."""
    return session.run(options, _retry)


async def _retry(opened: Session, options: Namespace) -> int:
    found = await pipeline_runs.find(opened, options.name)
    try:
        async with pipeline_runs.asking(opened) as service:
            await service.retry(found.uid, options.from_task)
    except errors.BadRequestError as error:
        raise failures.CommandError(error.message) from error
    print(f"run {found.name} goes on", file=sys.stderr)
    return failures.SUCCESS
