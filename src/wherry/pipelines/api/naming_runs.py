"""What runs are called whose uids executions have. The run's object may be gone."""

import asyncio
from collections.abc import Iterable
from typing import Final

from wherry.metadata.lists import Filter
from wherry.metadata.records import PIPELINE_RUN, Execution
from wherry.metadata.store import Metadata

_MOST: Final = 200
"""So many runs are named at most; the others are told by their uids."""


async def of(metadata: Metadata, executions: Iterable[Execution]) -> dict[str, str]:
    """Return the names of the runs of executions, by uid."""
    wanted = list(dict.fromkeys((each.namespace, each.run) for each in executions if each.run))
    found = await asyncio.gather(*(_name(metadata, *each) for each in wanted[:_MOST]))
    return {run: name for (_, run), name in zip(wanted, found, strict=False) if name}


async def _name(metadata: Metadata, namespace: str, run: str) -> str:
    chosen = Filter(namespace=namespace, type=PIPELINE_RUN, name=run)
    for context in (await metadata.contexts(chosen, limit=1)).items:
        return str(context.properties.get("name", ""))
    return ""
