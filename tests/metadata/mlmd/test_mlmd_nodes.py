"""What clients store they get back, in databases of every kind; what they may not see is not there."""

import json
import math
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.metadata.mlmd import links, nodes
from wherry.metadata.mlmd.calls import CALLS
from wherry.metadata.mlmd.failures import PreconditionError
from wherry.metadata.mlmd.view import View
from wherry.objects import errors

KINDS = ("Artifact", "Execution", "Context")
INT, DOUBLE, TEXT, STRUCT, PROTO, BOOL = range(1, 7)
FIELDS = {"i": INT, "d": DOUBLE, "s": TEXT, "t": STRUCT, "p": PROTO, "b": BOOL}
VALUES = {
    "i": {"int_value": -(2**63)},
    "d": {"double_value": math.inf},
    "s": {"string_value": "é\n'\"%_ \U0001f600"},
    "t": {"struct_value": {"a": [None, True, 0.5, "b", {"c": {}}], "d": []}},
    "p": {"proto_value": "AP8="},
    "b": {"bool_value": False},
}
TIMES = ("create_time_since_epoch", "last_update_time_since_epoch")
STATES: dict[str, dict[str, object]] = {
    "Artifact": {"uri": "s3://a/b", "state": 2},
    "Execution": {"last_known_state": 3},
}
SECRET = "secret-plan"


def told(node):
    """Return what a client has said of a node."""
    given_by_us = ("id", "type", *TIMES)
    return {key: value for key, value in node.items() if key not in given_by_us}


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_comes_back_as_it_was_stored(anywhere, kind):
    type_ = anywhere.type(kind, "T", **FIELDS)
    node = {
        "type_id": type_,
        "name": "n",
        "external_id": "x",
        "properties": VALUES,
        "custom_properties": {f"own {key}": value for key, value in VALUES.items()},
        "system_metadata": "AQID",
    }
    node |= STATES.get(kind, {})
    (number,) = anywhere.put(kind, node)
    (found,) = anywhere.get(kind, number)
    assert told(found) == node
    assert (found["id"], found["type"]) == (number, "T")
    by_name = {"type_name": "T", f"{kind.lower()}_name": "n"}
    assert anywhere(f"Get{kind}ByTypeAndName", **by_name) == {kind.lower(): found}
    listed = {f"{kind.lower()}s": [found]}
    assert anywhere(f"Get{kind}sByType", type_name="T") == listed
    assert anywhere(f"Get{kind}sByType", type_name="T", type_version="2") == {
        f"{kind.lower()}s": []
    }
    assert anywhere(f"Get{kind}sByExternalIds", external_ids=["x"]) == listed
    query = "name = 'n' AND properties.i.int_value < 0 AND type LIKE 'T%' AND NOT external_id = 'y'"
    assert anywhere(f"Get{kind}s", options={"filter_query": query}) == listed


@pytest.mark.parametrize("kind", KINDS)
def test_a_type_comes_back_and_grows_only_as_it_may(anywhere, kind):
    one = f"{kind.lower()}_type"

    def put(properties, **how):
        return anywhere(f"Put{kind}Type", **{one: {"name": "T", "properties": properties}}, **how)

    number = put({"a": INT})["type_id"]
    assert put({"a": INT}) == {"type_id": number}
    for properties, how in (
        ({"a": TEXT}, {"can_add_fields": True}),
        ({"a": INT, "b": INT}, {"can_omit_fields": True}),
        ({}, {"can_add_fields": True}),
    ):
        with pytest.raises(errors.AlreadyExistsError, match="with other properties"):
            put(properties, **how)
    put({"b": BOOL}, can_add_fields=True, can_omit_fields=True)
    wanted = {"id": number, "name": "T", "properties": {"a": INT, "b": BOOL}}
    assert anywhere(f"Get{kind}Type", type_name="T") == {one: wanted}
    assert anywhere(f"Get{kind}TypesByID", type_ids=[number]) == {f"{one}s": [wanted]}
    assert wanted in anywhere(f"Get{kind}Types")[f"{one}s"]
    newer = {"name": "T", "version": "2", "description": "d", "external_id": "x"}
    other = anywhere(f"Put{kind}Type", **{one: newer})["type_id"]
    assert anywhere(f"Get{kind}Type", type_name="T", type_version="2") == {
        one: {"id": other, **newer}
    }
    found = anywhere(f"Get{kind}TypesByExternalIds", external_ids=["x"])
    assert found == {f"{one}s": [{"id": other, **newer}]}
    with pytest.raises(errors.NotFoundError, match="version '3'"):
        anywhere(f"Get{kind}Type", type_name="T", type_version="3")


@pytest.mark.parametrize("kind", KINDS)
def test_pages_have_each_node_once_in_the_order_that_is_asked_for(anywhere, kind):
    type_ = anywhere.type(kind, "T")
    numbers = [anywhere.put(kind, {"type_id": type_, "name": f"n{index}"})[0] for index in range(7)]
    anywhere.put(
        kind, {"id": numbers[2], "name": "n2", "custom_properties": {"a": {"int_value": 1}}}
    )
    changed = [*numbers[:2], *numbers[3:], numbers[2]]
    for order, wanted in ((1, numbers), (2, changed), (3, numbers)):
        for ascending in (True, False):
            options = {
                "max_result_size": 3,
                "order_by_field": {"field": order, "is_asc": ascending},
                "filter_query": f"id >= {numbers[0]}",
            }
            seen = []
            while True:
                page = anywhere(f"Get{kind}s", options=options)
                seen += [each["id"] for each in page[f"{kind.lower()}s"]]
                if not page.get("next_page_token"):
                    break
                options["next_page_token"] = page["next_page_token"]
            assert seen == (wanted if ascending else wanted[::-1])


def test_pages_go_on_where_the_last_ended_while_others_write(service):
    type_ = service.type("Execution", "T")
    numbers = service.put("Execution", *[{"type_id": type_}] * 5)
    options = {"max_result_size": 2, "order_by_field": {"is_asc": False}}
    first = service("GetExecutions", options=options)
    service.put("Execution", *[{"type_id": type_}] * 5)
    options["next_page_token"] = first["next_page_token"]
    second = service("GetExecutions", options=options)
    # The first page was made before, and what was stored since is newer than all of it.
    assert [each["id"] for each in first["executions"]] == numbers[:2:-1]
    assert [each["id"] for each in second["executions"]] == numbers[2:0:-1]
    options["filter_query"] = "id > 0"
    with pytest.raises(
        errors.BadRequestError, match="is none of a page with this order and filter"
    ):
        service("GetExecutions", options=options)
    for token in ("x", "W10=", "WzEsMiwzXQ==", "WzFlOTk5LDEsIngiXQ=="):
        with pytest.raises(errors.BadRequestError, match="next_page_token"):
            service("GetExecutions", options={"next_page_token": token})


def test_who_asks_for_no_pages_gets_all_at_once(service):
    """Upstream's user interface asks so for what a run has done."""
    type_ = service.type("Execution", "T")
    numbers = [n for _ in range(2) for n in service.put("Execution", *[{"type_id": type_}] * 600)]
    found = service("GetExecutions")
    assert [each["id"] for each in found["executions"]] == numbers
    assert "next_page_token" not in found
    assert len(service("GetExecutions", options={})["executions"]) == 20
    some = service("GetExecutions", options={"max_result_size": 5000})
    assert len(some["executions"]) == 100


def test_answers_are_not_larger_than_can_be_held(service, monkeypatch):
    type_ = service.type("Artifact", "T")
    long = {"custom_properties": {"a": {"string_value": "x" * 400}}}
    numbers = service.put("Artifact", *[{"type_id": type_, **long}] * 5)
    monkeypatch.setattr(nodes, "MOST_TOLD", 1000)
    seen: list[int] = []
    request: dict[str, dict[str, str]] = {}
    while True:
        page = service("GetArtifacts", **request)
        assert len(page["artifacts"]) == (1 if seen else 4)
        seen += [each["id"] for each in page["artifacts"]]
        if not page.get("next_page_token"):
            break
        request = {"options": {"next_page_token": page["next_page_token"]}}
    assert seen == numbers
    assert len(service.get("Artifact", *numbers[:2])) == 2
    with pytest.raises(
        errors.RequestEntityTooLargeError, match="the artifacts hold more than 1000"
    ):
        service.get("Artifact", *numbers)
    execution = service.put("Execution", {"type_id": service.type("Execution", "E")})[0]
    told = [{"artifact_id": numbers[0], "execution_id": execution, "type": t} for t in (1, 2, 3)]
    service("PutEvents", events=told)
    monkeypatch.setattr(links, "MOST_EVENTS", 2)
    with pytest.raises(errors.RequestEntityTooLargeError, match="more than 2 events"):
        service("GetEventsByExecutionIDs", execution_ids=[execution])


@pytest.mark.parametrize(
    ("name", "field", "most"),
    [
        ("PutArtifacts", "artifacts", 1000),
        ("PutEvents", "events", 1000),
        ("PutTypes", "context_types", 1000),
        ("PutExecution", "contexts", 100),
        ("PutLineageSubgraph", "event_edges", 1000),
        ("GetContextsByID", "context_ids", 10_000),
        ("GetArtifactsByURI", "uris", 10_000),
        ("GetExecutionsByExternalIds", "external_ids", 100),
    ],
)
def test_requests_name_no_more_than_can_be_done_at_once(service, name, field, most):
    execution = {"type_id": service.type("Execution", "E")}
    with pytest.raises(
        errors.BadRequestError, match=f"{field}: {most + 1} are given; at most {most}"
    ):
        service(name, **{"execution": execution, field: [{}] * (most + 1)})


PROPERTIES = st.dictionaries(st.sampled_from("ab"), st.integers(0, 3), max_size=2)
CHANGES = st.lists(
    st.tuples(
        st.integers(0, 2),
        PROPERTIES,
        PROPERTIES,
        st.sampled_from([None, "u"]),
        st.sampled_from(
            [(), ("uri",), ("properties",), ("custom_properties.a", "properties.b", "x")]
        ),
    ),
    max_size=8,
)


def values(numbers):
    return {key: {"int_value": value} for key, value in numbers.items()}


def masked(before, after, paths):
    """Return a node of which only some fields are changed, the naive way."""
    made = json.loads(json.dumps(before))
    for path in paths:
        target, source, name = made, after, path
        if "." in path:
            field, name = path.split(".")
            target, source = made.setdefault(field, {}), after.get(field, {})
        target.pop(name, None)
        if name in source:
            target[name] = source[name]
    return made


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
@given(CHANGES)
def test_changes_leave_what_a_naive_model_has(service, changes):
    type_ = service.type("Artifact", "T", a=INT, b=INT)
    numbers = service.put("Artifact", *[{"type_id": type_}] * 3)
    model: dict[int, dict[str, object]] = {number: {} for number in numbers}
    for index, properties, custom, uri, paths in changes:
        number = numbers[index]
        given_now = {"properties": values(properties), "custom_properties": values(custom)}
        given_now |= {"uri": uri} if uri else {}
        request = {"artifacts": [{"id": number, **given_now}]}
        known = [path for path in paths if path != "x"]
        service("PutArtifacts", **request, **({"update_mask": {"paths": paths}} if paths else {}))
        model[number] = masked(model[number], given_now, known) if paths else given_now
    for node in service.get("Artifact", *numbers):
        wanted = {key: value for key, value in model[node["id"]].items() if value}
        assert told(node) == {"type_id": type_, **wanted}


def test_what_cannot_be_stored_is_refused_and_leaves_nothing(service):
    type_ = service.type("Artifact", "T", a=INT)
    service.put("Artifact", {"type_id": type_, "name": "n", "external_id": "x"})
    (number,) = service.put("Artifact", {"type_id": type_})
    for node, error, message in (
        ({}, errors.BadRequestError, "type_id: a new artifact needs one"),
        ({"type_id": 99999}, errors.NotFoundError, "there is no artifact type 99999"),
        (
            {"type_id": type_, "properties": {"z": {"int_value": 1}}},
            errors.BadRequestError,
            "unknown property: z",
        ),
        (
            {"type_id": type_, "properties": {"a": {"string_value": ""}}},
            errors.BadRequestError,
            "unmatched property type: a",
        ),
        (
            {"type_id": type_, "custom_properties": {"a": {}}},
            errors.BadRequestError,
            "unmatched property type: a",
        ),
        (
            {"type_id": type_, "name": "n"},
            errors.AlreadyExistsError,
            "name: another artifact has 'n'",
        ),
        ({"type_id": type_, "external_id": "x"}, errors.AlreadyExistsError, "external_id: another"),
        ({"id": 999}, errors.BadRequestError, "id: there is no artifact 999"),
        ({"id": number, "type_id": 6}, errors.BadRequestError, "cannot be changed"),
    ):
        before = len(service("GetArtifacts")["artifacts"])
        with pytest.raises(error, match=message):
            service("PutArtifacts", artifacts=[{"type_id": type_}, node])
        assert len(service("GetArtifacts")["artifacts"]) == before
    with pytest.raises(errors.BadRequestError, match="name: a context needs one"):
        service.put("Context", {"type_id": service.type("Context", "C")})
    late = {"artifacts": [{"id": number, TIMES[1]: 1}]}
    with pytest.raises(PreconditionError, match="was changed at"):
        service("PutArtifacts", **late, options={"abort_if_latest_updated_time_changed": True})


@pytest.fixture
def two(service):
    """Return calls of two teams, of whom the first has one of everything, all of it secret."""
    ours, theirs = service.of("ours"), service.of("theirs")
    numbers = {}
    for kind in KINDS:
        type_ = ours(
            "Put" + kind + "Type",
            **{kind.lower() + "_type": {"name": SECRET, "external_id": SECRET}},
        )
        numbers[kind.lower() + "_type"] = type_["type_id"]
        node = {"type_id": type_["type_id"], "name": SECRET, "external_id": SECRET}
        node |= {"uri": SECRET} if kind == "Artifact" else {}
        (numbers[kind.lower()],) = ours.put(kind, node)
    (above,) = ours.put("Context", {"type_id": numbers["context_type"], "name": f"{SECRET} above"})
    event = {"artifact_id": numbers["artifact"], "execution_id": numbers["execution"], "type": 4}
    ours("PutEvents", events=[event])
    pair = {"context_id": numbers["context"]}
    ours(
        "PutAttributionsAndAssociations",
        attributions=[{**pair, "artifact_id": numbers["artifact"]}],
        associations=[{**pair, "execution_id": numbers["execution"]}],
    )
    (below,) = ours.put("Context", {"type_id": numbers["context_type"], "name": f"{SECRET} below"})
    family = [(numbers["context"], above), (below, numbers["context"])]
    ours("PutParentContexts", parent_contexts=[{"child_id": c, "parent_id": p} for c, p in family])
    return ours, theirs, numbers


def about(numbers):
    """Return a request that names all of these things, whatever the method takes."""
    request = {"type_name": SECRET, "external_ids": [SECRET], "uris": [SECRET]}
    for kind in KINDS:
        one = kind.lower()
        request |= {f"{one}_id": numbers[one], f"{one}_ids": [numbers[one]], f"{one}_name": SECRET}
    return request


@pytest.mark.parametrize("name", sorted(name for name in CALLS if name.startswith("Get")))
def test_what_is_of_others_is_as_if_it_were_not_there(two, name):
    ours, theirs, numbers = two
    request = about(numbers)
    if name.endswith("TypesByID"):
        request["type_ids"] = [numbers[f"{kind.lower()}_type"] for kind in KINDS]
    query = {"starting_artifacts": {"filter_query": f"uri = '{SECRET}'"}}
    request["lineage_subgraph_query_options"] = query
    assert SECRET in json.dumps(ours(name, **request)) or name.startswith("GetEvents")
    missing = {key: 999_999 if isinstance(value, int) else value for key, value in request.items()}
    missing |= {key: [999_999] for key in request if key.endswith("_ids") and key != "external_ids"}
    assert outcome(theirs, name, request) == outcome(theirs, name, missing)
    assert outcome(theirs, name, request, lists_shared=name) == "nothing"


def outcome(service, name, request, lists_shared=""):
    """Return what is answered, or how it is refused, without the ids that were asked for."""
    try:
        answer = service(name, **request)
    except errors.NotFoundError as error:
        return "nothing" if lists_shared else (type(error), str(error).rstrip("0123456789"))
    found = [each for value in answer.values() for each in value]
    if lists_shared:
        return "nothing" if all(each.get("id", 0) < 1000 for each in found) else answer
    return answer


def test_what_is_of_others_can_neither_be_changed_nor_used(two):
    _, theirs, numbers = two
    type_ = theirs.type("Artifact", SECRET)
    assert type_ != numbers["artifact_type"]
    (own,) = theirs.put("Artifact", {"type_id": type_, "name": SECRET, "external_id": SECRET})
    group = theirs.put("Context", {"type_id": theirs.type("Context", SECRET), "name": SECRET})[0]
    assert group != numbers["context"]
    member = {"context_id": group, "artifact_id": numbers["artifact"]}
    for name, request in (
        ("PutArtifacts", {"artifacts": [{"id": numbers["artifact"]}]}),
        (
            "PutEvents",
            {"events": [{"artifact_id": own, "execution_id": numbers["execution"], "type": 3}]},
        ),
        ("PutAttributionsAndAssociations", {"attributions": [member]}),
        (
            "PutParentContexts",
            {"parent_contexts": [{"child_id": group, "parent_id": numbers["context"]}]},
        ),
    ):
        with pytest.raises(
            errors.BadRequestError, match=r"there is no (artifact|execution|context)"
        ):
            theirs(name, **request)
    with pytest.raises(errors.NotFoundError):
        theirs.put("Artifact", {"type_id": numbers["artifact_type"]})
    assert SECRET not in json.dumps(
        theirs("GetArtifactTypesByID", type_ids=[numbers["artifact_type"]])
    )


def test_who_sees_more_stores_at_home_only(service):
    ours = service.of("ours")
    type_ = ours.type("Artifact", "T")
    (number,) = ours.put("Artifact", {"type_id": type_})
    with pytest.raises(
        errors.ForbiddenError, match="in namespace 'ours' and this call stores in 'team'"
    ):
        service.put("Artifact", {"id": number})
    execution = service.put("Execution", {"type_id": service.type("Execution", "E")})[0]
    event = {"artifact_id": number, "execution_id": execution}
    service("PutEvents", events=[{**event, "type": 3}])
    with pytest.raises(errors.ForbiddenError, match="artifact"):
        service("PutEvents", events=[{**event, "type": 4}])
    assert ours("GetEventsByArtifactIDs", artifact_ids=[number]) == {"events": []}


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("GetArtifacts", {"options": {"filter_query": "uri LIKE '%'"}}),
        (
            "GetLineageSubgraph",
            {
                "lineage_subgraph_query_options": {
                    "starting_artifacts": {"filter_query": "uri LIKE '%'"}
                }
            },
        ),
    ],
)
def test_a_call_that_takes_too_long_is_given_up(service, name, request_):
    """All others wait for it."""
    service.put("Artifact", {"type_id": service.type("Artifact", "T"), "uri": "s3://a/b"})
    with service.database.write() as at:
        late = View(at=at, namespaces=None, home="team", now=1, until=time.monotonic() - 1)
        with pytest.raises(errors.ServerTimeoutError, match="takes too long"):
            CALLS[name](late, request_)
