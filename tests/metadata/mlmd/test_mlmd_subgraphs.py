"""The graph around nodes, held against a naive walk."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.metadata.mlmd import subgraphs
from wherry.objects import errors

SIZE = 5
TYPES = {"inputs": (2, 3, 5), "outputs": (1, 4, 6, 7)}
EVENTS = st.sets(
    st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1), st.sampled_from((1, 2, 3, 4))),
    max_size=12,
)


@pytest.fixture
def graph(service):
    """Return how to make a graph of as many artifacts and executions, with given events."""
    of_artifact, of_execution = service.type("Artifact", "A"), service.type("Execution", "E")

    def made(events):
        artifacts = service.put("Artifact", *[{"type_id": of_artifact}] * SIZE)
        executions = service.put("Execution", *[{"type_id": of_execution}] * SIZE)
        told = [
            {"artifact_id": artifacts[a], "execution_id": executions[e], "type": type_}
            for a, e, type_ in sorted(events)
        ]
        service("PutEvents", events=told)
        return artifacts, executions

    return made


def walked(events, start, hops, direction):
    """Return the artifacts, executions and events that are at most so many events away."""
    seen, used, fresh = {start}, set(), {start}
    for _ in range(hops):
        reached = set()
        for artifact, execution, type_ in events:
            makes = type_ in TYPES["outputs"]
            for here, there, up in (
                (("a", artifact), ("e", execution), makes),
                (("e", execution), ("a", artifact), not makes),
            ):
                if here in fresh and (direction in (0, 3) or up == (direction == 1)):
                    used.add((artifact, execution, type_))
                    reached.add(there)
        fresh = reached - seen
        seen |= fresh
    return seen, used


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
@given(
    EVENTS,
    st.sampled_from("ae"),
    st.integers(0, SIZE - 1),
    st.integers(0, 7),
    st.sampled_from((0, 1, 2, 3)),
)
def test_a_graph_is_followed_as_far_as_is_said(
    graph, service, events, side, start, hops, direction
):
    artifacts, executions = graph(events)
    numbers, field = (artifacts, "artifacts") if side == "a" else (executions, "executions")
    found = service(
        "GetLineageSubgraph",
        lineage_subgraph_query_options={
            f"starting_{field}": {"filter_query": f"id = {numbers[start]}"},
            "max_num_hops": hops,
            "direction": direction,
        },
    )["lineage_subgraph"]
    seen, used = walked(events, (side, start), hops, direction)
    assert {("a", artifacts.index(each["id"])) for each in found["artifacts"]} | {
        ("e", executions.index(each["id"])) for each in found["executions"]
    } == seen
    assert {
        (artifacts.index(each["artifact_id"]), executions.index(each["execution_id"]), each["type"])
        for each in found["events"]
    } == used


CHAIN = [(0, 0, 3), (1, 0, 4), (1, 1, 3), (2, 1, 4), (2, 2, 3), (3, 2, 4)]


@pytest.mark.parametrize("included", [True, False])
def test_the_way_ends_where_it_is_said(graph, service, included):
    artifacts, executions = graph(CHAIN)
    found = service(
        "GetLineageSubgraph",
        lineage_subgraph_query_options={
            "starting_artifacts": {"filter_query": f"id = {artifacts[0]}"},
            "ending_executions": {
                "filter_query": f"id = {executions[1]}",
                "include_ending_nodes": included,
            },
        },
    )["lineage_subgraph"]
    assert [each["id"] for each in found["artifacts"]] == artifacts[:2]
    assert [each["id"] for each in found["executions"]] == executions[: 1 + included]
    assert len(found["events"]) == 2 + included


def test_only_what_is_asked_for_is_told(graph, service):
    artifacts, _ = graph(CHAIN)
    group = service.put("Context", {"type_id": service.type("Context", "C"), "name": "c"})[0]
    service(
        "PutAttributionsAndAssociations",
        attributions=[{"artifact_id": artifacts[0], "context_id": group}],
    )
    options = {"starting_artifacts": {"filter_query": f"id = {artifacts[0]}"}, "max_num_hops": 1}
    found = service(
        "GetLineageSubgraph",
        lineage_subgraph_query_options=options,
        read_mask={"paths": ["attributions", "artifact_types", "nonsense"]},
    )["lineage_subgraph"]
    assert found.keys() == {"attributions", "artifact_types"}
    assert found["attributions"] == [{"artifact_id": artifacts[0], "context_id": group}]
    assert [each["name"] for each in found["artifact_types"]] == ["A"]


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({}, errors.BadRequestError, "want one of starting_artifacts"),
        ({"starting_artifacts": {}}, errors.BadRequestError, "filter_query: is missing"),
        (
            {"starting_artifacts": {"filter_query": "id = 1"}, "max_num_hops": -1},
            errors.BadRequestError,
            "max_num_hops: -1: want 0 to 100",
        ),
        (
            {"starting_artifacts": {"filter_query": "id = 999"}},
            errors.NotFoundError,
            "no artifact is meant",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(service, options, error, told):
    with pytest.raises(error, match=told):
        service("GetLineageSubgraph", lineage_subgraph_query_options=options)


def test_a_graph_that_is_too_large_is_refused(service, monkeypatch, graph):
    monkeypatch.setattr(subgraphs, "MOST_NODES", 4)
    artifacts, _ = graph(CHAIN)
    options = {"starting_artifacts": {"filter_query": f"id = {artifacts[0]}"}}
    with pytest.raises(errors.RequestEntityTooLargeError, match="more than 4 artifacts"):
        service("GetLineageSubgraph", lineage_subgraph_query_options=options)
