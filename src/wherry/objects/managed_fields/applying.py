"""Apply: the live object becomes what the configuration says, and loses what it no longer says.

Source: `Updater.Apply` of structured-merge-diff, and the managers around it in apimachinery.
"""

from dataclasses import replace
from typing import Final

from wherry.objects.managed_fields import (
    conflicts,
    fields,
    last_applied,
    managers,
    merging,
    reading,
    removal,
    tracking,
)
from wherry.objects.managed_fields.comparison import SAME, compare, drop
from wherry.objects.managed_fields.conflicts import FieldConflictsError
from wherry.objects.managed_fields.fields import Fields
from wherry.objects.managed_fields.managers import Identity, Manager, Managers
from wherry.objects.managed_fields.views import View, Write
from wherry.objects.requests import Object

_BEFORE: Final = "before-first-apply"


def apply(
    live: View, config: Object, before: Managers, write: Write, *, force: bool = False
) -> tuple[Object, Managers]:
    """Return the object and its managers after an apply.

    Args:
        live: The object; without any content for one that does not exist.
        config: What is applied, decoded, in the version of ``live``; not changed.
        before: The managers of ``live``; not changed.
        write: The circumstances.
        force: Whether to take fields from others.

    Raises:
        FieldConflictsError: Others own fields that would change.
        TypingError: Lists of the configuration cannot be told apart item by item.
    """
    if not before and live.obj.get("metadata"):
        first = replace(write, manager=_BEFORE)
        before = tracking.create(live, first)
    before = tracking.current(before, live, write)
    try:
        result = _apply(live, config, before, write, force=force)
    except FieldConflictsError as error:
        if write.manager != last_applied.MANAGER:
            raise
        # What kubectl owned through its annotation it may take: it is the same person.
        allowed = last_applied.owned(live)
        if allowed is None:
            raise
        if rest := conflicts.beyond(error.conflicts, allowed):
            raise FieldConflictsError(rest) from None
        result = _apply(live, config, before, write, force=True)
    obj, after = result
    if write.manager == last_applied.MANAGER:
        obj = last_applied.renewed(obj, config)
    return obj, after


def _apply(
    live: View, config: Object, before: Managers, write: Write, *, force: bool
) -> tuple[Object, Managers]:
    me = managers.applier(write.manager, write.subresource)
    last = before.get(me)
    mine = drop(reading.to_fields(config, live.node), write.ignored)
    claimed = before | {me: Manager(mine, live.version, last.time if last else "")}
    merged = merging.merge(live.obj, config, live.node)
    if last is not None and fields.difference(last.fields, mine):
        merged = _pruned(View(merged, live.node, live.version), last, claimed, write)
    changes = compare(live.obj, merged, live.node).without(write.ignored)
    seen = tracking.Changes(live, View(merged, live.node, live.version), changes, write)
    contested = seen.contested(claimed, me)
    if contested and not force:
        raise FieldConflictsError(conflicts.of(contested))
    after = tracking.stripped(seen.taken(claimed, me), me)
    return merged, _timed(after, me, last, write, changed=changes != SAME)


def _timed(
    after: Managers, me: Identity, last: Manager | None, write: Write, *, changed: bool
) -> Managers:
    """Return the managers with the applier's time, unless it has changed nothing."""
    mine = after.get(me)
    if mine is None:
        return after
    said = (mine.fields, mine.api_version)
    if not changed and last is not None and said == (last.fields, last.api_version):
        return after | {me: last}
    return after | {me: Manager(mine.fields, mine.api_version, write.time)}


def _pruned(merged: View, last: Manager, claimed: Managers, write: Write) -> Object:
    """Return the merged object without what the applier has dropped and nobody else owns."""
    then = _shown(merged, last.api_version, write)
    if then is None:
        return merged.obj
    left = removal.remove(then.obj, reading.with_named(then.node, last.fields), then.node)
    pruned = View(left, then.node, then.version)
    # The version of the last apply first: without what others own in it, it may not convert.
    versions = dict.fromkeys([last.api_version, *(each.api_version for each in claimed.values())])
    for version in versions:
        pruned = _with_owned(then, pruned, version=version, claimed=claimed, write=write)
    pruned = _with_dangling(then, pruned, last, write)
    back = _shown(pruned, merged.version, write)
    return merged.obj if back is None else back.obj


def _with_owned(
    merged: View, pruned: View, *, version: str, claimed: Managers, write: Write
) -> View:
    """Return the pruned object with what anybody owns in a version put back."""
    whole, part = _shown(merged, version, write), _shown(pruned, version, write)
    if whole is None or part is None:
        return pruned
    node = whole.node
    held: Fields = {}
    for manager in claimed.values():
        if manager.api_version == version:
            held = fields.union(held, manager.fields)
    kept = fields.union(_named(part), reading.with_named(node, held))
    unwanted = fields.difference(_named(whole), kept)
    return View(removal.remove(whole.obj, unwanted, node), node, version)


def _with_dangling(merged: View, pruned: View, last: Manager, write: Write) -> View:
    """Return the pruned object with what the applier did not own put back."""
    part = _shown(pruned, last.api_version, write)
    if part is None:
        return merged
    gone = fields.difference(_named(merged), _named(part))
    unwanted = fields.intersection(gone, reading.with_named(merged.node, last.fields))
    return View(removal.remove(merged.obj, unwanted, merged.node), merged.node, merged.version)


def _named(view: View) -> Fields:
    return reading.with_named(view.node, reading.contents(view.obj, view.node))


def _shown(view: View, version: str, write: Write) -> View | None:
    return view if view.version == version else write.convert(view.obj, version)
