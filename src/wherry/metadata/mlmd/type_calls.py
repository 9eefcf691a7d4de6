"""The calls about types of nodes."""

from collections.abc import Mapping

from wherry.metadata.mlmd import node_types
from wherry.metadata.mlmd.asking import MOST_STORED, Function, external_ids, named
from wherry.metadata.mlmd.kinds import KINDS, Kind
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object


class TypeCalls:
    """Those about types of one kind."""

    def __init__(self, kind: Kind) -> None:
        """Take the kind."""
        self._kind = kind
        self._one, self._many = f"{kind.name}_type", f"{kind.name}_types"

    def calls(self) -> Mapping[str, Function]:
        """Return them by name."""
        title = self._kind.name.title()
        return {
            f"Put{title}Type": self._put,
            f"Get{title}Type": self._get,
            f"Get{title}Types": self._list,
            f"Get{title}TypesByID": self._by_id,
            f"Get{title}TypesByExternalIds": self._by_external_ids,
        }

    def _put(self, view: View, request: Object) -> Object:
        return {"type_id": _stored(view, self._kind, request.get(self._one, {}), request)}

    def _get(self, view: View, request: Object) -> Object:
        name, version = request.get("type_name", ""), request.get("type_version", "")
        found = node_types.find(view, self._kind, name, version)
        if found is None:
            told = f" version {version!r}" if version else ""
            raise errors.NotFoundError(f"there is no {self._kind.name} type {name!r}{told}")
        return {self._one: found}

    def _list(self, view: View, _: Object) -> Object:
        return {self._many: node_types.listed(view, self._kind)}

    def _by_id(self, view: View, request: Object) -> Object:
        found = node_types.by_id(view, self._kind, named(request, "type_ids"))
        return {self._many: [found[number] for number in sorted(found)]}

    def _by_external_ids(self, view: View, request: Object) -> Object:
        given = external_ids(request)
        found = node_types.by_external_id(view, self._kind, given)
        if given and not found:
            raise errors.NotFoundError(f"no {self._kind.name} type has one of these external_ids")
        return {self._many: found}


def put_types(view: View, request: Object) -> Object:
    """Store types of all kinds."""
    return {
        f"{kind.name}_type_ids": [
            _stored(view, kind, each, request)
            for each in named(request, f"{kind.name}_types", MOST_STORED)
        ]
        for kind in KINDS
    }


def _stored(view: View, kind: Kind, given: Object, request: Object) -> int:
    if not request.get("all_fields_match", True):
        raise errors.MethodNotAllowedError("all_fields_match: only true is there")
    return node_types.put(
        view,
        kind,
        given,
        can_add=bool(request.get("can_add_fields")),
        can_omit=bool(request.get("can_omit_fields")),
    )
