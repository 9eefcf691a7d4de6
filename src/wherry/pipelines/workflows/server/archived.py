"""Workflows that have ended, as they are kept."""

import re
from collections.abc import Mapping
from typing import Final

from wherry.objects import errors, metadata
from wherry.objects.selectors import LabelSelector
from wherry.pipelines.workflows import kinds, operations
from wherry.pipelines.workflows.archive.records import Wanted
from wherry.pipelines.workflows.server import changes, listing
from wherry.pipelines.workflows.server.calls import Answer, Call, Handler
from wherry.pipelines.workflows.server.workflows import archived

_PLACE: Final = re.compile(r"(\d{1,18})-(\d{1,18})")
_NAMESPACE: Final = re.compile(r"metadata\.namespace==?([^,]+)")


async def list_(call: Call) -> Answer:
    """List them, the newest first."""
    namespace = _namespace(call)
    await call.check("list", namespace=namespace)
    page = listing.page(call)
    wanted = Wanted(
        namespace=namespace,
        fits=listing.fitting(call),
        labels=listing.labels(call),
        limit=page,
        before=_place(call.option("listOptions.continue")),
    )
    found = await call.services.archive.list(wanted)
    more = "-".join(map(str, found.more)) if found.more else ""
    return listing.answer([*map(listing.shown, found.workflows)], more=more)


def _namespace(call: Call) -> str:
    """Return whose are asked for: upstream's older clients say so by a field selector."""
    match = _NAMESPACE.search(call.option("listOptions.fieldSelector"))
    return call.option("namespace") or (match[1] if match else "")


def _place(text: str) -> tuple[int, int] | None:
    if text in {"", "0"}:
        return None
    match = _PLACE.fullmatch(text)
    if match is None:
        raise errors.BadRequestError("listOptions.continue: want what the page before has given")
    return int(match[1]), int(match[2])


async def get(call: Call) -> Answer:
    """Return one."""
    return listing.shown(await archived(call, call.named["uid"]))


async def delete(call: Call) -> Answer:
    """Delete what is kept of one; its object, where it is there, stays."""
    found = await archived(call, call.named["uid"])
    await call.check("delete", namespace=metadata.namespace(found))
    await call.services.archive.delete(metadata.uid(found))
    return {}


async def retry(call: Call) -> Answer:
    """Have one that has failed go on: its object is made anew where it is gone."""
    found = await archived(call, call.named["uid"])
    namespace = metadata.namespace(found)
    await call.check("create", namespace=namespace)
    await call.check("update", namespace=namespace)
    redo = call.sent("restartSuccessful", bool)
    chosen, given = call.sent("nodeFieldSelector", str), call.sent("parameters", list)
    made = operations.retry(found, redo, chosen, given)
    return listing.shown(await call.services.client.create(kinds.WORKFLOWS, operations.anew(made)))


async def resubmit(call: Call) -> Answer:
    """Make one like it."""
    found = await archived(call, call.named["uid"])
    await call.check("create", namespace=metadata.namespace(found))
    return await changes.again(call, found)


async def label_keys(call: Call) -> Answer:
    """Return by which labels they can be looked for."""
    return {"items": sorted(await _labels(call))}


async def label_values(call: Call) -> Answer:
    """Return which values a label has."""
    selector: LabelSelector = listing.labels(call)
    found = await _labels(call)
    return {
        "items": sorted(
            {value for each in selector.requirements for value in found.get(each.key, ())}
        )
    }


async def _labels(call: Call) -> Mapping[str, set[str]]:
    namespace = call.option("namespace")
    await call.check("list", namespace=namespace)
    return await call.services.archive.labels(namespace)


_BASE: Final = "/api/v1/archived-workflows"
HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", _BASE): list_,
    ("GET", f"{_BASE}-label-keys"): label_keys,
    ("GET", f"{_BASE}-label-values"): label_values,
    ("GET", f"{_BASE}/{{uid}}"): get,
    ("DELETE", f"{_BASE}/{{uid}}"): delete,
    ("PUT", f"{_BASE}/{{uid}}/retry"): retry,
    ("PUT", f"{_BASE}/{{uid}}/resubmit"): resubmit,
}
