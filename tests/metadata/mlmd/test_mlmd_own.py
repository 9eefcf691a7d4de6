"""The platform's own runs, as the clients of Kubeflow Pipelines know them; and what these add to them."""

import math
from typing import Any

import pytest
import sqlalchemy

from wherry.metadata import records, schema, writing
from wherry.metadata.database import Database, Schema
from wherry.metadata.records import Artifact, Context, Execution, Values
from wherry.objects import errors

RUN = "4f1c"


@pytest.fixture
def run(service):
    """Store a run of two steps, the second of which was taken from the cache, in a graph and a loop."""
    with service.database.write() as at:
        pipeline = writing.context(
            at, Context(namespace="team", type=records.PIPELINE, name="train"), 10
        )
        own = writing.context(
            at,
            Context(
                namespace="team",
                type=records.PIPELINE_RUN,
                name=RUN,
                properties={"name": "train-x", "pipelineRoot": "s3://b/r"},
                parents=(pipeline.id,),
            ),
            11,
        )
        common: dict[str, Any] = {
            "namespace": "team",
            "pipeline": "train",
            "run": RUN,
            "contexts": (pipeline.id, own.id),
        }
        graphs = [
            Execution(type=records.DAG_EXECUTION, name=name, path=path, state="RUNNING", **common)
            for name, path in (("root", "root"), ("loop", "root/loop"), ("loop[3]", "root/loop[3]"))
        ]
        writing.save(at, graphs, 20)
        metadata = {
            "rows": 3,
            "ok": True,
            "tags": ["a"],
            "more": {"b": None},
            "none": None,
            "text": "t",
        }
        data = Artifact(type="system.Dataset", name="data", uri="s3://b/data", metadata=metadata)
        step = Execution(
            name="make",
            path="root/loop[3]/make",
            state=records.SUCCEEDED,
            pod="pod-1",
            fingerprint="f" * 64,
            started=30,
            ended=40,
            inputs=Values({"rate": 0.5, "far": math.inf}),
            outputs=Values({"n": 1}, {"data": (data, data)}),
            **common,
        )
        (step,) = writing.save(at, [step], 29)
        made = step.outputs.artifacts["data"]
        taken = Execution(
            name="use",
            path="root/use",
            state=records.SUCCEEDED,
            cached_from=step.id,
            inputs=Values({}, {"x": (made[0],), "again": (made[0],)}),
            **common,
        )
        writing.save(at, [taken], 50)
    return service


def text(value):
    return {"string_value": value}


def test_the_pages_of_the_user_interface_find_a_run(run):
    asked = {"type_name": "system.PipelineRun", "context_name": RUN}
    context = run("GetContextByTypeAndName", **asked)["context"]
    assert context["custom_properties"] == {
        "namespace": text("team"),
        "resource_name": text("train-x"),
        "pipeline_root": text("s3://b/r"),
    }
    type_ = run("GetContextType", type_name="system.PipelineRun")["context_type"]
    assert context["type_id"] == type_["id"]
    (pipeline,) = run("GetParentContextsByContext", context_id=context["id"])["contexts"]
    assert (pipeline["type"], pipeline["name"]) == ("system.Pipeline", "train")
    found = run("GetExecutionsByContext", context_id=context["id"])["executions"]
    by_name = {each["custom_properties"]["display_name"]["string_value"]: each for each in found}
    assert set(by_name) == {"root", "loop", "loop[3]", "make", "use"}
    assert by_name["root"]["type"] == "system.DAGExecution"
    assert by_name["root"]["last_known_state"] == 2
    turn = by_name["loop[3]"]["custom_properties"]
    assert turn["iteration_index"] == {"int_value": 3}
    assert turn["parent_dag_id"] == {"int_value": by_name["loop"]["id"]}
    assert by_name["make"]["custom_properties"] == {
        "display_name": text("make"),
        "task_name": text("make"),
        "namespace": text("team"),
        "pod_name": text("pod-1"),
        "cache_fingerprint": text("f" * 64),
        "parent_dag_id": {"int_value": by_name["loop[3]"]["id"]},
        "inputs": {"struct_value": {"rate": 0.5, "far": math.inf}},
        "outputs": {"struct_value": {"n": 1}},
    }
    assert (by_name["make"]["last_known_state"], by_name["use"]["last_known_state"]) == (3, 5)
    cached = by_name["use"]["custom_properties"]["cached_execution_id"]
    assert cached == text(str(by_name["make"]["id"]))
    query = f"custom_properties.parent_dag_id.int_value = {by_name['loop[3]']['id']}"
    number, options = context["id"], {"filter_query": query}
    chosen = run("GetExecutionsByContext", context_id=number, options=options)
    assert chosen == {"executions": [by_name["make"]]}


def test_what_a_step_made_is_told_with_the_name_of_its_output(run):
    artifacts = run("GetArtifactsByURI", uris=["s3://b/data"])["artifacts"]
    one, other = artifacts
    assert one["custom_properties"] == {
        "display_name": text("data"),
        "rows": {"double_value": 3.0},
        "ok": {"int_value": 1},
        "tags": {"struct_value": {"list": ["a"]}},
        "more": {"struct_value": {"struct": {"b": None}}},
        "text": text("t"),
    }
    assert (one["type"], one["state"]) == ("system.Dataset", 2)
    events = run("GetEventsByArtifactIDs", artifact_ids=[one["id"], other["id"]])["events"]
    told = [
        (each["type"], each["path"]["steps"], each["milliseconds_since_epoch"]) for each in events
    ]
    assert told == [
        (4, [{"key": "data"}], 40),
        (4, [{"key": "data"}, {"index": 1}], 40),
        (3, [{"key": "x"}], 50),
        (3, [{"key": "again"}], 50),
    ]
    options = {"starting_artifacts": {"filter_query": f"id = {one['id']}"}, "max_num_hops": 2}
    found = run("GetLineageSubgraph", lineage_subgraph_query_options=options)["lineage_subgraph"]
    assert [each["id"] for each in found["artifacts"]] == [one["id"], other["id"]]
    assert sorted(found["events"], key=str) == sorted(events, key=str)
    (type_,) = run("GetArtifactTypesByID", type_ids=[one["type_id"]])["artifact_types"]
    assert type_["name"] == "system.Dataset"
    assert type_ in run("GetArtifactTypes")["artifact_types"]


def test_types_of_the_platforms_artifacts_are_listed_though_nobody_has_stored_them(service):
    with service.database.write() as at:
        writing.add_artifact(at, Artifact(namespace="team", type="google.Model", name="m"), 1)
    (type_,) = [
        each
        for each in service("GetArtifactTypes")["artifact_types"]
        if each["name"] == "google.Model"
    ]
    (found,) = service("GetArtifactsByType", type_name="google.Model")["artifacts"]
    assert found["type_id"] == type_["id"]


def test_clients_add_to_what_is_the_platforms_and_cannot_change_it(run):
    (one, _) = run("GetArtifactsByURI", uris=["s3://b/data"])["artifacts"]
    tagged = {**one, "custom_properties": {**one["custom_properties"], "tag": text("good")}}
    assert run.put("Artifact", tagged) == run.put("Artifact", tagged) == [one["id"]]
    (found,) = run.get("Artifact", one["id"])
    assert found["custom_properties"] == tagged["custom_properties"]
    query = {"filter_query": "custom_properties.tag.string_value = 'good'"}
    assert run("GetArtifacts", options=query)["artifacts"] == [found]
    for change in (
        {"uri": "s3://b/other"},
        {"state": 4},
        {"custom_properties": {"display_name": text("other")}},
        {"properties": {"a": text("b")}},
    ):
        with pytest.raises(errors.BadRequestError, match="the platform's own"):
            run.put("Artifact", {"id": one["id"], **change})
    # What a client calls by the name of a field is not the field.
    run.put("Artifact", {"id": one["id"], "custom_properties": {"uri": text("bad")}})
    run.put("Artifact", {"id": one["id"]})
    assert run.get("Artifact", one["id"])[0]["custom_properties"] == one["custom_properties"]
    (task,) = run(
        "GetExecutions",
        options={"filter_query": "custom_properties.display_name.string_value = 'use'"},
    )["executions"]
    event = {"artifact_id": one["id"], "execution_id": task["id"], "type": 4}
    with pytest.raises(errors.BadRequestError, match="tells its events itself"):
        run("PutEvents", events=[event])


def test_clients_execution_is_part_of_the_platforms_lineage(run):
    (one, other) = run("GetArtifactsByURI", uris=["s3://b/data"])["artifacts"]
    type_ = run.type("Execution", "Audit")
    asked = {"type_name": "system.PipelineRun", "context_name": RUN}
    context = run("GetContextByTypeAndName", **asked)["context"]
    run(
        "PutExecution",
        execution={"type_id": type_, "name": "audit"},
        artifact_event_pairs=[
            {"event": {"artifact_id": one["id"], "type": 3, "path": {"steps": [{"key": "in"}]}}},
            {"event": {"artifact_id": other["id"], "type": 2}},
        ],
        contexts=[context],
    )
    with run.database.write() as at:
        kept = writing.delete_run(at, RUN)
    # The run is gone, and with it what nobody else has read.
    assert kept == []
    found = [each["id"] for each in run("GetArtifacts")["artifacts"]]
    assert found == [one["id"], other["id"]]
    (left,) = run("GetExecutions")["executions"]
    assert left["name"] == "audit"
    assert run("GetContextByTypeAndName", **asked) == {}


def test_what_was_added_to_a_run_goes_with_it(run):
    for one in run("GetArtifacts")["artifacts"]:
        run.put("Artifact", {"id": one["id"], "custom_properties": {"tag": text("x")}})
    with run.database.write() as at:
        writing.delete_run(at, RUN)
        left = at.execute(sqlalchemy.select(schema.NODES)).all()
    assert left == []


def test_upstreams_driver_and_launcher_write_as_they_do(service):
    """The calls of ``backend/src/v2/metadata/client.go``, in its order."""

    def context(type_, name, **more):
        number = service("PutContextType", context_type={"name": type_})["type_id"]
        asked = {"type_name": type_, "context_name": name}
        assert service("GetContextByTypeAndName", **asked) == {}
        service.put("Context", {"type_id": number, "name": name, **more})
        return service("GetContextByTypeAndName", **asked)["context"]

    pipeline = context("system.Pipeline", "train")
    told = {"custom_properties": {"namespace": text("team")}}
    run = context("system.PipelineRun", RUN, **told)
    assert service("GetParentContextsByContext", context_id=run["id"]) == {"contexts": []}
    pair = {"child_id": run["id"], "parent_id": pipeline["id"]}
    service("PutParentContexts", parent_contexts=[pair])
    with pytest.raises(errors.AlreadyExistsError):
        service("PutParentContexts", parent_contexts=[pair])
    groups = [pipeline, run]

    def execution(type_, **custom):
        number = service("PutExecutionType", execution_type={"name": type_})["type_id"]
        given = {"type_id": number, "last_known_state": 2, "custom_properties": custom}
        stored = service("PutExecution", execution=given, contexts=groups)["execution_id"]
        return service.get("Execution", stored)[0]

    graph = execution("system.DAGExecution", display_name=text(""))
    step = execution(
        "system.ContainerExecution",
        task_name=text("make"),
        parent_dag_id={"int_value": graph["id"]},
        inputs={"struct_value": {"rate": 0.5}},
    )
    step["custom_properties"]["pod_name"] = text("pod-1")
    service("PutExecution", execution=step)
    type_ = service("PutArtifactType", artifact_type={"name": "system.Model"})["type_id"]
    model = {"type_id": type_, "uri": "minio://b/m", "state": 2}
    (stored,) = service.put("Artifact", model)
    step["last_known_state"] = 3
    event = {"type": 4, "path": {"steps": [{"key": "model"}]}}
    service(
        "PutExecution",
        execution=step,
        contexts=groups,
        artifact_event_pairs=[{"event": {**event, "artifact_id": stored}}],
    )
    query = f"custom_properties.parent_dag_id.int_value = {graph['id']}"
    options = {"filter_query": query, "next_page_token": ""}
    found = service("GetExecutionsByContext", context_id=run["id"], options=options)["executions"]
    assert [(each["id"], each["last_known_state"]) for each in found] == [(step["id"], 3)]
    assert found[0]["custom_properties"] == step["custom_properties"]
    (seen,) = service("GetEventsByArtifactIDs", artifact_ids=[stored])["events"]
    assert (seen["execution_id"], seen["path"]) == (step["id"], event["path"])
    listed = service("GetContextsByExecution", execution_id=step["id"])["contexts"]
    assert listed == service.get("Context", pipeline["id"], run["id"])


def test_databases_from_before_clients_came_are_brought_up(where):
    """As it was before, the table of events had neither time nor details."""
    older = Database(where, Schema("older", sqlalchemy.MetaData()))
    with older.write() as at:
        schema.SCHEMA.tables.drop_all(at)
        schema.SCHEMA.tables.create_all(at)
        for name in ("time", "details"):
            quoted = at.dialect.identifier_preparer.quote(name)
            at.exec_driver_sql(f"ALTER TABLE metadata_events DROP COLUMN {quoted}")
        schema.NODES.drop(at)
        at.execute(sqlalchemy.text("DELETE FROM wherry_schemas WHERE name = 'metadata'"))
    older.close()
    for _ in range(2):
        database = Database(where, schema.SCHEMA)
        with database.read() as at:
            for table in (schema.EVENTS, schema.NODES):
                assert at.execute(sqlalchemy.select(table)).all() == []
        database.close()
