"""The calls of ML Metadata's service: each is a function of what the caller may see, and the request.

Requests and answers are messages as mappings, by the names of their fields; enumerations are numbers.
Source of what they mean: google/ml-metadata 1.17, ``metadata_store_service.proto``, and its own store.
"""

from collections.abc import Callable, Mapping
from typing import Final

from wherry.metadata.mlmd import edges, links, listing, nodes, subgraphs, together
from wherry.metadata.mlmd.asking import MOST_NAMED, MOST_STORED, Function, named, page
from wherry.metadata.mlmd.kinds import ARTIFACT, CONTEXT, EXECUTION, KINDS, Kind
from wherry.metadata.mlmd.node_calls import NodeCalls
from wherry.metadata.mlmd.type_calls import TypeCalls, put_types
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object


def _get_artifacts_by_uri(view: View, request: Object) -> Object:
    wanted = nodes.selected(view, ARTIFACT).where(listing.with_uris(named(request, "uris")))
    found = view.at.execute(wanted.order_by(ARTIFACT.table.c.id).limit(MOST_NAMED))
    return {"artifacts": nodes.messages(view, ARTIFACT, found)}


def _get_by_context(kind: Kind) -> Function:
    def get(view: View, request: Object) -> Object:
        number = request.get("context_id", 0)
        seen = nodes.rows(view, CONTEXT, [number])
        if not seen:
            return {}
        return page(view, kind, request, listing.in_group(kind, number))

    return get


def _get_contexts(kind: Kind) -> Function:
    def get(view: View, request: Object) -> Object:
        number = request.get(f"{kind.name}_id", 0)
        found = links.groups(view, kind, [number]) if nodes.rows(view, kind, [number]) else {}
        if not found:
            raise errors.NotFoundError(f"no contexts found for {kind.name}_id {number}")
        return {"contexts": found[number]}

    return get


def _get_events(kind: Kind) -> Function:
    def get(view: View, request: Object) -> Object:
        return {"events": links.events(view, kind, named(request, f"{kind.name}_ids"))}

    return get


_Linked = Callable[[View, list[int]], dict[int, list[Object]]]


def _get_linked(linked: _Linked) -> Function:
    def get(view: View, request: Object) -> Object:
        number = request.get("context_id", 0)
        seen = nodes.rows(view, CONTEXT, [number])
        return {"contexts": linked(view, [*seen]).get(number, [])}

    return get


def _get_all_linked(linked: _Linked, field: str) -> Function:
    def get(view: View, request: Object) -> Object:
        seen = nodes.rows(view, CONTEXT, named(request, "context_ids"))
        found = linked(view, [*seen])
        return {"contexts": [{"key": key, "value": {field: found[key]}} for key in sorted(found)]}

    return get


def _put_events(view: View, request: Object) -> Object:
    edges.put_events(view, named(request, "events", MOST_STORED))
    return {}


def _put_members(view: View, request: Object) -> Object:
    edges.put_members(view, ARTIFACT, named(request, "attributions", MOST_STORED))
    edges.put_members(view, EXECUTION, named(request, "associations", MOST_STORED))
    return {}


def _put_parents(view: View, request: Object) -> Object:
    edges.put_parents(view, named(request, "parent_contexts", MOST_STORED))
    return {}


def _get_subgraph(view: View, request: Object) -> Object:
    options = request.get("lineage_subgraph_query_options", {})
    parts = request.get("read_mask", {}).get("paths", ())
    return {"lineage_subgraph": subgraphs.subgraph(view, options, parts)}


CALLS: Final[Mapping[str, Function]] = {
    **{name: call for kind in KINDS for name, call in TypeCalls(kind).calls().items()},
    **{name: call for kind in KINDS for name, call in NodeCalls(kind).calls().items()},
    "PutTypes": put_types,
    "PutEvents": _put_events,
    "PutExecution": together.put_execution,
    "PutLineageSubgraph": together.put_lineage_subgraph,
    "PutAttributionsAndAssociations": _put_members,
    "PutParentContexts": _put_parents,
    "GetArtifactsByURI": _get_artifacts_by_uri,
    "GetArtifactsByContext": _get_by_context(ARTIFACT),
    "GetExecutionsByContext": _get_by_context(EXECUTION),
    "GetContextsByArtifact": _get_contexts(ARTIFACT),
    "GetContextsByExecution": _get_contexts(EXECUTION),
    "GetEventsByArtifactIDs": _get_events(ARTIFACT),
    "GetEventsByExecutionIDs": _get_events(EXECUTION),
    "GetParentContextsByContext": _get_linked(links.parents),
    "GetChildrenContextsByContext": _get_linked(links.children),
    "GetParentContextsByContexts": _get_all_linked(links.parents, "parent_contexts"),
    "GetChildrenContextsByContexts": _get_all_linked(links.children, "children_contexts"),
    "GetLineageSubgraph": _get_subgraph,
}
