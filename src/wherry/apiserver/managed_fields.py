"""Every write's entry in `metadata.managedFields`: whose it is, and what of it is kept.

Objects are tracked from their creation on. One that has no entries, because someone has reset them,
is not tracked until it is applied.
"""

from typing import Any, Final

from wherry.apiserver import converting
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.apiserver.writing import Write
from wherry.objects import errors
from wherry.objects import managed_fields as engine
from wherry.objects.errors import Cause
from wherry.objects.managed_fields import Managers, View
from wherry.objects.requests import APPLY_PATCH, Object

MAX_MANAGER_BYTES: Final = 128
_NOTHING: Final[frozenset[str]] = frozenset()
_STATUS: Final = frozenset({"f:status"})
_OTHERS: Final = frozenset({"f:spec"})
_CUSTOM_OTHERS: Final = frozenset({"f:spec", "f:metadata"})


def manager(call: Call) -> str:
    """Return the name of who writes: as asked for, else the first part of the client's name."""
    if named := call.request.options.get("fieldManager"):
        return named
    printable = "".join(each for each in call.agent.partition("/")[0] if each.isprintable())
    return printable.encode()[:MAX_MANAGER_BYTES].decode(errors="ignore") or "unknown"


def check_options(call: Call) -> None:
    """Refuse options of a write that say something impossible about its manager.

    Raises:
        InvalidError: The manager is missing, too long or not printable, or ``force`` is out of place.
    """
    request = call.request
    name = request.options.get("fieldManager", "")
    causes = []
    if request.verb == "patch":
        causes = _patch_causes(call, name)
    if len(name.encode()) > MAX_MANAGER_BYTES:
        text = f"Too long: may not be more than {MAX_MANAGER_BYTES} bytes"
        causes.append(Cause("fieldManager", text, "FieldValueTooLong"))
    if not name.isprintable():
        causes += [
            Cause(
                "fieldManager",
                f'Invalid value: "{name[:MAX_MANAGER_BYTES]}": invalid character U+{ord(each):04X} '
                f"(at position {index})",
            )
            for index, each in enumerate(name[:MAX_MANAGER_BYTES])
            if not each.isprintable()
        ]
    if causes:
        kind = f"{request.verb.capitalize()}Options"
        raise errors.invalid(kind, "", causes, "meta.k8s.io")


def _patch_causes(call: Call, name: str) -> list[Cause]:
    if call.request.content_type == APPLY_PATCH:
        if name:
            return []
        text = "Required value: is required for apply patch"
        return [Cause("fieldManager", text, "FieldValueRequired")]
    if "force" not in call.request.options:
        return []
    text = "Forbidden: may not be specified for non-apply patch"
    return [Cause("force", text, "FieldValueForbidden")]


def view(served: Served, obj: Object) -> View:
    """Return an object beside its schema."""
    return View(obj, served.schema().root, served.resource.api_version)


def circumstances(write: Write) -> engine.Write:
    """Return what the engine wants to know about a write."""
    core, served, subresource = write.core, write.served, write.call.request.subresource or ""
    return engine.Write(
        manager=manager(write.call),
        subresource=subresource,
        now=core.clock(),
        ignored=_ignored(served, subresource),
        convert=lambda obj, version: _converted(core, served, obj, version),
    )


def _ignored(served: Served, subresource: str) -> frozenset[str]:
    """Return the root elements that a write does not reach."""
    if subresource == "status":
        return _CUSTOM_OTHERS if served.custom else _OTHERS
    strategy = served.strategy
    apart = strategy.has_status(served.resource) and not strategy.status_on_create
    return _STATUS if apart else _NOTHING


def _converted(core: Core, served: Served, obj: Object, version: str) -> View | None:
    other = core.resources.by_kind(version, served.resource.kind)
    if other is None or other.storage.key != served.storage.key:
        return None
    return view(other, served.convert([obj], version)[0])


def of(obj: Object) -> Managers:
    """Return the managers of a stored object; none where its entries cannot be read."""
    try:
        return engine.decode(obj["metadata"].get("managedFields") or ())
    except (KeyError, TypeError, ValueError):
        return {}


def put(obj: Object, managers: Managers) -> None:
    """Set an object's entries."""
    if managers:
        obj["metadata"]["managedFields"] = engine.encode(managers)
    else:
        obj["metadata"].pop("managedFields", None)


def taken(obj: Object) -> Any:
    """Take the entries that a writer has sent out of an object; the decoder would walk them for nothing."""
    if isinstance(obj["metadata"].get("managedFields"), list):
        return obj["metadata"].pop("managedFields")
    return None


def track_create(write: Write, obj: Object) -> None:
    """Enter the creator of an object, in place."""
    put(obj, engine.create(view(write.served, obj), circumstances(write)))


async def track_update(write: Write, obj: Object, old: Object, sent: Any) -> None:
    """Enter the writer of a changed object, in place.

    Args:
        write: The write.
        obj: What will be stored, with the entries of ``old``.
        old: What is stored.
        sent: The entries that the writer has sent; they hold if they can be read.
    """
    stored = old["metadata"].get("managedFields")
    before = _sent(sent) if sent != stored and not write.call.request.subresource else None
    told = before is not None
    if before is None:
        before = of(old)
    served = write.served
    after = before
    if before:
        views, how, managers = (view(served, old), view(served, obj)), circumstances(write), before
        after = await converting.complete(lambda: engine.update(*views, managers, how))
    if told or after is not before:
        put(obj, after)


def _sent(entries: Any) -> Managers | None:
    """Return the managers that a writer asks for; None where those that are stored hold."""
    if engine.is_reset(entries):
        return {}
    try:
        return engine.decode(entries or (), trusted=False) or None
    except engine.EntriesError:
        return None


def forget_time(obj: Object, old: Object) -> None:
    """Put the stored entries back, in place, where a write changes nothing but their times."""
    mine, stored = obj["metadata"].get("managedFields"), old["metadata"].get("managedFields")
    if mine is stored or not mine or not stored or _content(obj) != _content(old):
        return
    if engine.same_but_times(mine, stored):
        obj["metadata"]["managedFields"] = stored


def _content(obj: Object) -> Object:
    apart = ("managedFields", "resourceVersion")
    kept = {name: value for name, value in obj["metadata"].items() if name not in apart}
    return obj | {"metadata": kept}
