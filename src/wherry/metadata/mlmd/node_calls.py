"""The calls that there are for each kind of nodes."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy

from wherry.metadata.mlmd import listing, node_types, nodes, storing
from wherry.metadata.mlmd.asking import MOST_STORED, Function, external_ids, named, page
from wherry.metadata.mlmd.kinds import CONTEXT, Kind
from wherry.metadata.mlmd.storing import Options
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object


class NodeCalls:
    """Those about nodes of one kind."""

    def __init__(self, kind: Kind) -> None:
        """Take the kind."""
        self._kind = kind
        self._one, self._many = kind.name, f"{kind.name}s"

    def calls(self) -> Mapping[str, Function]:
        """Return them by name."""
        title = self._kind.name.title()
        return {
            f"Put{title}s": self._put,
            f"Get{title}s": self._list,
            f"Get{title}sByID": self._by_id,
            f"Get{title}sByType": self._by_type,
            f"Get{title}ByTypeAndName": self._by_type_and_name,
            f"Get{title}sByExternalIds": self._by_external_ids,
        }

    def _put(self, view: View, request: Object) -> Object:
        told = request.get("options", {})
        options = Options(
            paths=tuple(request.get("update_mask", {}).get("paths", ())),
            unchanged_since=bool(told.get("abort_if_latest_updated_time_changed")),
        )
        given = named(request, self._many, MOST_STORED)
        return {
            f"{self._one}_ids": [storing.put(view, self._kind, each, options) for each in given]
        }

    def _list(self, view: View, request: Object) -> Object:
        return page(view, self._kind, request)

    def _by_id(self, view: View, request: Object) -> Object:
        found = nodes.by_id(view, self._kind, named(request, f"{self._one}_ids"))
        if not request.get("populate_artifact_types"):
            return {self._many: found}
        known = node_types.by_id(view, self._kind, {each["type_id"] for each in found})
        return {self._many: found, f"{self._one}_types": [known[each] for each in sorted(known)]}

    def _by_type(self, view: View, request: Object) -> Object:
        return page(view, self._kind, request, *self._of_type(view, request))

    def _by_type_and_name(self, view: View, request: Object) -> Object:
        """Return the node of a name: that of the caller's namespace, or else the oldest that is seen."""
        name, own = request.get(f"{self._one}_name", ""), self._kind.table.c
        if not name:
            return {}
        # What people call the platform's own artifacts and tasks is no name here.
        has_name = sqlalchemy.true() if self._kind is CONTEXT else nodes.SAID.c.type > 0
        chosen = nodes.selected(view, self._kind).where(
            own.name == name, has_name, *self._of_type(view, request)
        )
        first = chosen.order_by(own.namespace != view.home, own.id).limit(1)
        found = nodes.messages(view, self._kind, view.at.execute(first))
        return {self._one: found[0]} if found else {}

    def _by_external_ids(self, view: View, request: Object) -> Object:
        given = external_ids(request)
        numbers = storing.with_external_ids(view, self._kind, given)
        found = nodes.by_id(view, self._kind, numbers)
        if given and not found:
            raise errors.NotFoundError(f"no {self._one} has one of these external_ids")
        return {self._many: found}

    def _of_type(self, view: View, request: Object) -> list[Any]:
        name, version = request.get("type_name", ""), request.get("type_version", "")
        return listing.of_type(view, self._kind, name, version)
