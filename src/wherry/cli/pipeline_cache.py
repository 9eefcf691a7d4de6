"""`wherry pipelines cache list|clear`: which results may be taken again, and which no longer."""

import datetime
import json
from argparse import Namespace
from typing import Final

from wherry.cli import columns, failures, pipeline_runs, session
from wherry.cli.session import Session
from wherry.metadata.records import CACHE_KEY, Execution
from wherry.pipelines.looking import plain, words
from wherry.pipelines.service import Chosen

_HEADINGS: Final = ["PIPELINE", "TASK", "RUN", "KEY", "AGE"]
_SHORT: Final = 12


def cache(options: Namespace) -> int:
    """Do what the third word says."""
    return session.run(options, _list if options.deed == "list" else _clear)


async def _list(opened: Session, options: Namespace) -> int:
    async with pipeline_runs.asking(opened) as service:
        found = await service.cached(await _chosen(opened, options), limit=options.limit)
    if options.output == "json":
        print(json.dumps([plain.task(each) for each in found], indent=2))
        return failures.SUCCESS
    now = datetime.datetime.now(datetime.UTC)
    runs = words.named(found)
    rows = [_row(each, runs[each.run], now) for each in found]
    print("\n".join(columns.lines([_HEADINGS, *rows], [])) if rows else "no results are kept")
    return failures.SUCCESS


def _row(execution: Execution, run: str, now: datetime.datetime) -> list[str]:
    ended = datetime.datetime.fromtimestamp(execution.ended / 1000, datetime.UTC)
    key = execution.properties.get(CACHE_KEY) or execution.fingerprint[:_SHORT]
    return [execution.pipeline, words.path(execution), run, key, columns.span(now - ended)]


async def _clear(opened: Session, options: Namespace) -> int:
    chosen = await _chosen(opened, options)
    everything = chosen == Chosen(namespace=opened.namespace)
    if everything and not options.all:
        raise failures.UsageError(
            "say which results: --pipeline, --task, --run, --key, --older-than, or --all for all "
            f"of namespace {opened.namespace}"
        )
    if options.all and not everything:
        raise failures.UsageError("--all stands alone: it means every result of the namespace")
    async with pipeline_runs.asking(opened) as service:
        number = await service.forget(chosen)
    told = "1 result" if number == 1 else f"{number} results"
    print(f"{told} will not be taken again; artifacts stay")
    return failures.SUCCESS


async def _chosen(opened: Session, options: Namespace) -> Chosen:
    before = None
    if options.older_than is not None:
        before = datetime.datetime.now(datetime.UTC) - options.older_than
    run = (await pipeline_runs.find(opened, options.run)).uid if options.run else ""
    return Chosen(
        namespace=opened.namespace,
        pipeline=options.pipeline,
        task=options.task,
        run=run,
        key=options.key,
        before=before,
    )
