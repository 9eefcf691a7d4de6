"""Custom kinds that the server knows itself: their defaults, rules and versions as functions.

What a webhook does for the kinds of others, pure functions do here for our own, without a call.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wherry.apiserver import conversions
from wherry.apiserver.crds.strategy import CustomStrategy
from wherry.apiserver.strategy import Context
from wherry.objects.declared import makers
from wherry.objects.declared.kind import Related, Right, Seen
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

Convert = Callable[[Object, str], Object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What is known of one custom kind. All functions are pure: arguments stay as they are.

    Objects come with `apiVersion`, `kind` and `metadata`, and have passed their schema. `default`,
    `validate` and `warnings` see them in the version they are stored in, whatever version the client uses.

    Attributes:
        default: Returns an object with what the user left out filled in; idempotent.
        validate: Returns what is wrong with an object, given the one it replaces (None: it is new). Not
            asked about writes of the status and of objects that are being deleted.
        related: What is checked against other objects, once `validate` finds nothing.
        rights: Returns what the writer has to be allowed besides; see `Kind`.
        maker: Annotation that bears who has made an object; empty: none.
        warnings: Returns what the writer of an object should know; it does not stop the write.
        convert: Returns an object in another of its versions, `(object, apiVersion)`. Nothing may get
            lost on the way there and back, and it must take whatever the schema takes. Of the metadata
            it may change labels and annotations.
    """

    default: Callable[[Object], Object] | None = None
    validate: Callable[[Object, Object | None], Sequence[Cause]] | None = None
    related: Related | None = None
    rights: Callable[[Object, Object | None, Seen], Sequence[Right]] | None = None
    maker: str = ""
    warnings: Callable[[Object], Sequence[str]] | None = None
    convert: Convert | None = None


def convert_all(convert: Convert) -> Callable[[Iterable[Object], str], list[Object]]:
    """Return what converts many objects by a function for one, and holds it to the rules."""

    def converted(objs: Iterable[Object], api_version: str) -> list[Object]:
        return [_converted(convert, obj, api_version) for obj in objs]

    return converted


def _converted(convert: Convert, obj: Object, api_version: str) -> Object:
    if conversions.is_trivial(obj, api_version):
        return conversions.convert(obj, api_version)
    after = conversions.typed(convert(obj, api_version), api_version, str(obj["kind"]))
    if "metadata" in obj:
        after["metadata"] = conversions.same_metadata(obj["metadata"], after["metadata"])
    return after


class HookedStrategy(CustomStrategy):
    """The behaviour of a custom kind with hooks.

    Args:
        hooks: What is known of the kind.
        api_version: The version that objects are stored in, e.g. ``kubeflow.org/v1``.
        selectable: Paths that field selectors may name, with a leading dot.
    """

    def __init__(self, hooks: Hooks, api_version: str, selectable: tuple[str, ...] = ()) -> None:
        super().__init__(selectable)
        self._hooks = hooks
        self._api_version = api_version
        convert = hooks.convert
        self._convert = convert_all(convert) if convert else conversions.convert_all

    def default(self, obj: Object) -> None:
        """Fill in what the kind's own function fills in."""
        if self._hooks.default is None:
            return
        filled = self._hooks.default(self._stored(obj))
        (back,) = self._convert([filled], obj["apiVersion"])
        obj.clear()
        obj.update(back)

    def prepare_create(self, obj: Object, context: Context) -> None:
        """Write down who makes the object, where the kind wants to know."""
        if self._hooks.maker:
            user = context.user
            maker = makers.told(user.name, user.uid, user.groups, user.extra)
            makers.write(obj, self._hooks.maker, maker)

    def prepare_update(self, obj: Object, old: Object, context: Context) -> None:
        """Keep who has made it."""
        if self._hooks.maker:
            makers.write(obj, self._hooks.maker, makers.read(old, self._hooks.maker))

    def validate(self, obj: Object, old: Object | None, context: Context) -> list[Cause]:
        """Return what the kind's own functions find."""
        hooks = self._hooks
        if _is_apart(obj, context) or (hooks.validate is None and hooks.related is None):
            return []
        after, before = self._stored(obj), self._stored(old) if old is not None else None
        causes = list(hooks.validate(after, before)) if hooks.validate else []
        if causes or hooks.related is None:
            return causes
        seen = self._seen(after, before, context)
        return list(hooks.related.validate(after, before, seen))

    def rights(self, obj: Object, old: Object | None, context: Context) -> Sequence[Right]:
        """Return what the kind's own function says."""
        if self._hooks.rights is None or _is_apart(obj, context):
            return ()
        after, before = self._stored(obj), self._stored(old) if old is not None else None
        return self._hooks.rights(after, before, self._seen(after, before, context))

    def _seen(self, obj: Object, old: Object | None, context: Context) -> Seen:
        if self._hooks.related is None:
            return {}
        return {
            each: context.lookup.get(each.resource, each.name, each.namespace)
            for each in self._hooks.related.references(obj, old)
        }

    def warnings(self, obj: Object) -> list[str]:
        """Return what the kind's own function tells."""
        if self._hooks.warnings is None:
            return []
        return list(self._hooks.warnings(self._stored(obj)))

    def _stored(self, obj: Object) -> Object:
        return self._convert([obj], self._api_version)[0]


def _is_apart(obj: Object, context: Context) -> bool:
    return context.subresource == "status" or "deletionTimestamp" in obj["metadata"]
