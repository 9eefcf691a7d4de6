"""The messages and methods of ML Metadata's service. Pure.

Source: google/ml-metadata 1.17, ``metadata_store.proto`` and ``metadata_store_service.proto`` (names,
numbers). Enumerations are numbers here, and messages that are only kept for their owners (types of
structures, ``google.protobuf.Any``) are bytes: on the wire they are the same.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from wherry.objects import message_tables
from wherry.objects.message_tables import Field

PACKAGE: Final = "ml_metadata"
JSON_OBJECT: Final = "JsonObject"
"""Is ``google.protobuf.Struct``."""
PROPERTY: Final = "Property"
"""Is ``ml_metadata.Value``."""
_OPTIONS: Final = "ListOperationOptions options"
_CHANGES: Final = "2 bool can_add_fields, 3 bool can_delete_fields, 4 bool all_fields_match, 5 bool can_omit_fields"
_NODES: Final = {
    "Artifact": "1 int64 id, 7 string name, 2 int64 type_id, 8 string type, 3 string uri, "
    "11 string external_id, 4 map:Property properties, 5 map:Property custom_properties, "
    "6 int32 state, 9 int64 create_time_since_epoch, 10 int64 last_update_time_since_epoch, "
    "12 bytes system_metadata",
    "Execution": "1 int64 id, 6 string name, 2 int64 type_id, 7 string type, 10 string external_id, "
    "3 int32 last_known_state, 4 map:Property properties, 5 map:Property custom_properties, "
    "8 int64 create_time_since_epoch, 9 int64 last_update_time_since_epoch, "
    "11 bytes system_metadata",
    "Context": "1 int64 id, 3 string name, 2 int64 type_id, 6 string type, 9 string external_id, "
    "4 map:Property properties, 5 map:Property custom_properties, "
    "7 int64 create_time_since_epoch, 8 int64 last_update_time_since_epoch, "
    "10 bytes system_metadata",
}
_TABLE: Final = {
    JSON_OBJECT: "1 map:JsonValue fields",
    "JsonList": "1 JsonValue* values",
    "JsonValue": "1 int32 null_value @kind, 2 double number_value @kind, 3 string string_value @kind, "
    "4 bool bool_value @kind, 5 JsonObject struct_value @kind, 6 JsonList list_value @kind",
    PROPERTY: "1 int64 int_value @value, 2 double double_value @value, 3 string string_value @value, "
    "4 JsonObject struct_value @value, 5 bytes proto_value @value, 6 bool bool_value @value",
    "Mask": "1 string* paths",
    **_NODES,
    "ArtifactType": "1 int64 id, 2 string name, 4 string version, 5 string description, "
    "7 string external_id, 3 map:int32 properties, 6 int32 base_type",
    "ExecutionType": "1 int64 id, 2 string name, 6 string version, 7 string description, "
    "9 string external_id, 3 map:int32 properties, 4 bytes input_type, 5 bytes output_type, "
    "8 int32 base_type",
    "ContextType": "1 int64 id, 2 string name, 4 string version, 5 string description, "
    "7 string external_id, 3 map:int32 properties, 6 int32 base_type",
    "Event": "1 int64 artifact_id, 2 int64 execution_id, 3 Event.Path path, 4 int32 type, "
    "5 int64 milliseconds_since_epoch, 6 bytes system_metadata",
    "Event.Path": "1 Event.Path.Step* steps",
    "Event.Path.Step": "1 int64 index @value, 2 string key @value",
    "Attribution": "1 int64 artifact_id, 2 int64 context_id, 3 bytes system_metadata",
    "Association": "1 int64 execution_id, 2 int64 context_id, 3 bytes system_metadata",
    "ParentContext": "1 int64 child_id, 2 int64 parent_id, 3 bytes system_metadata",
    "LineageGraph": "1 ArtifactType* artifact_types, 2 ExecutionType* execution_types, "
    "3 ContextType* context_types, 4 Artifact* artifacts, 5 Execution* executions, "
    "6 Context* contexts, 7 Event* events, 8 Attribution* attributions, "
    "9 Association* associations, 10 ParentContext* parent_contexts",
    "ListOperationOptions": "1 int32 max_result_size, 2 ListOperationOptions.OrderByField "
    "order_by_field, 3 string next_page_token, 4 string filter_query",
    "ListOperationOptions.OrderByField": "1 int32 field, 2 bool is_asc",
    "LineageSubgraphQueryOptions": "1 StartingNodes starting_artifacts @starting_nodes, "
    "2 StartingNodes starting_executions @starting_nodes, 3 int64 max_num_hops, 4 int32 direction, "
    "5 EndingNodes ending_artifacts, 6 EndingNodes ending_executions",
    "StartingNodes": "1 string filter_query",
    "EndingNodes": "1 string filter_query, 2 bool include_ending_nodes",
    "PutTypesRequest": "1 ArtifactType* artifact_types, 2 ExecutionType* execution_types, "
    "3 ContextType* context_types, 4 bool can_add_fields, 5 bool can_delete_fields, "
    "6 bool all_fields_match, 7 bool can_omit_fields",
    "PutTypesResponse": "1 int64* artifact_type_ids, 2 int64* execution_type_ids, "
    "3 int64* context_type_ids",
    "PutArtifactsRequest": "1 Artifact* artifacts, 2 PutArtifactsRequest.Options options, "
    "4 Mask update_mask",
    "PutArtifactsRequest.Options": "1 bool abort_if_latest_updated_time_changed",
    "PutExecutionsRequest": "1 Execution* executions, 3 Mask update_mask",
    "PutContextsRequest": "1 Context* contexts, 3 Mask update_mask",
    "PutEventsRequest": "1 Event* events",
    "PutEventsResponse": "",
    "PutExecutionRequest": "1 Execution execution, "
    "2 PutExecutionRequest.ArtifactAndEvent* artifact_event_pairs, 3 Context* contexts, "
    "4 PutExecutionRequest.Options options",
    "PutExecutionRequest.ArtifactAndEvent": "1 Artifact artifact, 2 Event event",
    "PutExecutionRequest.Options": "1 bool reuse_context_if_already_exist, "
    "2 bool reuse_artifact_if_already_exist_by_external_id, 3 bool force_update_time, "
    "4 bool force_reuse_context",
    "PutExecutionResponse": "1 int64 execution_id, 2 int64* artifact_ids, 3 int64* context_ids",
    "PutLineageSubgraphRequest": "1 Execution* executions, 2 Artifact* artifacts, "
    "3 Context* contexts, 4 PutLineageSubgraphRequest.EventEdge* event_edges, "
    "5 PutLineageSubgraphRequest.Options options",
    "PutLineageSubgraphRequest.EventEdge": "1 int32 execution_index, 2 int32 artifact_index, "
    "3 Event event",
    "PutLineageSubgraphRequest.Options": "1 bool reuse_context_if_already_exist, "
    "2 bool reuse_artifact_if_already_exist_by_external_id",
    "PutLineageSubgraphResponse": "1 int64* execution_ids, 2 int64* artifact_ids, "
    "3 int64* context_ids",
    "PutAttributionsAndAssociationsRequest": "1 Attribution* attributions, "
    "2 Association* associations",
    "PutAttributionsAndAssociationsResponse": "",
    "PutParentContextsRequest": "1 ParentContext* parent_contexts",
    "PutParentContextsResponse": "",
    "GetArtifactsByURIRequest": "2 string* uris",
    "GetArtifactsByURIResponse": "1 Artifact* artifacts",
    "GetContextsByArtifactRequest": "1 int64 artifact_id",
    "GetContextsByArtifactResponse": "1 Context* contexts",
    "GetContextsByExecutionRequest": "1 int64 execution_id",
    "GetContextsByExecutionResponse": "1 Context* contexts",
    "GetLineageSubgraphRequest": "1 LineageSubgraphQueryOptions lineage_subgraph_query_options, "
    "3 Mask read_mask",
    "GetLineageSubgraphResponse": "1 LineageGraph lineage_subgraph",
}


def _of_kind(title: str) -> Iterator[tuple[str, str]]:
    """Give the messages that there are for each kind of nodes."""
    one = title.lower()
    yield f"Put{title}TypeRequest", f"1 {title}Type {one}_type, {_CHANGES}"
    yield f"Put{title}TypeResponse", "1 int64 type_id"
    yield f"Put{title}sResponse", f"1 int64* {one}_ids"
    yield f"Get{title}TypeRequest", "1 string type_name, 2 string type_version"
    yield f"Get{title}TypeResponse", f"1 {title}Type {one}_type"
    yield f"Get{title}TypesRequest", ""
    yield f"Get{title}TypesByIDRequest", "1 int64* type_ids"
    yield f"Get{title}TypesByExternalIdsRequest", "1 string* external_ids"
    for name in ("", "ByID", "ByExternalIds"):
        yield f"Get{title}Types{name}Response", f"1 {title}Type* {one}_types"
    # The version came later to one of them, and so has another number.
    version, options = (3, 2) if title == "Context" else (2, 3)
    yield (
        f"Get{title}sByTypeRequest",
        f"1 string type_name, {version} string type_version, {options} {_OPTIONS}",
    )
    yield (
        f"Get{title}ByTypeAndNameRequest",
        f"1 string type_name, 2 string {one}_name, 3 string type_version",
    )
    yield f"Get{title}ByTypeAndNameResponse", f"1 {title} {one}"
    yield f"Get{title}sRequest", f"1 {_OPTIONS}"
    yield f"Get{title}sByIDRequest", f"1 int64* {one}_ids{_POPULATED.get(title, '')}"
    yield f"Get{title}sByIDResponse", f"1 {title}* {one}s{_TYPES_TOO.get(title, '')}"
    yield f"Get{title}sByExternalIdsRequest", "1 string* external_ids"
    yield f"Get{title}sByExternalIdsResponse", f"1 {title}* {one}s"
    for name in ("s", "sByType", "sByContext"):
        yield f"Get{title}{name}Response", f"1 {title}* {one}s, 2 string next_page_token"
    if title != "Context":
        yield f"Get{title}sByContextRequest", f"1 int64 context_id, 2 {_OPTIONS}"
        yield f"GetEventsBy{title}IDsRequest", f"1 int64* {one}_ids"
        yield f"GetEventsBy{title}IDsResponse", "1 Event* events"


_POPULATED: Final = {"Artifact": ", 3 bool populate_artifact_types"}
_TYPES_TOO: Final = {"Artifact": ", 2 ArtifactType* artifact_types"}


def _of_family(title: str, field: str) -> Iterator[tuple[str, str]]:
    """Give the messages about contexts above or below others."""
    one = f"Get{title}ContextsByContext"
    yield f"{one}Request", "1 int64 context_id"
    yield f"{one}Response", "1 Context* contexts"
    yield f"{one}sRequest", "1 int64* context_ids"
    # On the wire a map is a list of its entries.
    yield f"{one}sResponse", f"2 {one}sResponse.Entry* contexts"
    yield f"{one}sResponse.Entry", f"1 int64 key, 2 {one}sResponse.Linked value"
    yield f"{one}sResponse.Linked", f"1 Context* {field}"


MESSAGES: Final[Mapping[str, tuple[Field, ...]]] = message_tables.messages(
    {
        **_TABLE,
        **{name: text for title in _NODES for name, text in _of_kind(title)},
        **dict(_of_family("Parent", "parent_contexts")),
        **dict(_of_family("Children", "children_contexts")),
    }
)
METHODS: Final = tuple(
    sorted(name.removesuffix("Request") for name in MESSAGES if name.endswith("Request"))
)
