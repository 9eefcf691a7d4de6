"""The texts that stand for values in commands."""

import json
from typing import Any

import pytest

from wherry.pipelines import placeholders
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.placeholders import Context, Facts

INPUT: dict[str, Any] = {
    "inputs": {
        "parameterValues": {
            "text": "hello",
            "whole": 5,
            "number": 5.0,
            "small": 1e-7,
            "flag": True,
            "items": [1, "a"],
            "table": {"k": "v"},
            "nothing": None,
            "sly": "{{$.inputs.parameters['text']}}",
        },
        "artifacts": {
            "data": {
                "artifacts": [
                    {"name": "7", "uri": "s3://b/d", "metadata": {"rows": 3, "note": "n"}},
                    {"name": "8", "uri": "s3://b/e"},
                ]
            },
            "none": {"artifacts": []},
        },
    },
    "outputs": {
        "parameters": {"sum": {"outputFile": "/tmp/kfp/outputs/sum"}},
        "artifacts": {"model": {"artifacts": [{"name": "model", "uri": "/a/model"}]}},
        "outputFile": "/a/output_metadata.json",
    },
}
FACTS = Facts(
    job_name="My run",
    job_resource_name="my-run-x",
    job_uuid="uid",
    task_name="train",
    task_uuid="t1",
    pipeline_root="/root",
    create_time="2026-01-01T00:00:00Z",
    schedule_time="2026-01-01T00:00:01Z",
    workspace_path="/kfp-workspace",
)
CONTEXT = Context(
    executor_input=INPUT,
    facts=FACTS,
    paths={"s3://b/d": "/s3/b/d"},
    optional=frozenset({"may", "none"}),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{$.inputs.parameters['text']}}, you", "hello, you"),
        ('{{$.inputs.parameters["text"]}}', "hello"),
        ("{{$.inputs.parameters['whole']}}", "5"),
        ("{{$.inputs.parameters['number']}}", "5"),
        ("{{$.inputs.parameters['small']}}", "0.0000001"),
        ("{{$.inputs.parameters['flag']}}", "true"),
        ("{{$.inputs.parameters['items']}}", '[1,"a"]'),
        ("{{$.inputs.parameters['table']}}", '{"k":"v"}'),
        ("{{$.inputs.parameters['nothing']}}", ""),
        ("-{{$.inputs.parameters['may']}}-", "--"),
        # What comes in as a value is not looked at again.
        ("{{$.inputs.parameters['sly']}}", "{{$.inputs.parameters['text']}}"),
        ("{{$.inputs.artifacts['data'].uri}}", "s3://b/d"),
        ("{{$.inputs.artifacts['data'].path}}", "/s3/b/d"),
        ("{{$.inputs.artifacts['data'].name}}", "7"),
        ("{{$.inputs.artifacts['data'].metadata['rows']}}", "3"),
        ("{{$.inputs.artifacts['data'].metadata}}", '{"rows": 3, "note": "n"}'),
        ("{{$.inputs.artifacts['none'].uri}}", ""),
        ("{{$.outputs.artifacts['model'].path}}", "/a/model"),
        ("{{$.outputs.parameters['sum'].output_file}}", "/tmp/kfp/outputs/sum"),
        ("{{$.outputs.output_file}}", "/a/output_metadata.json"),
        ("{{$.outputMetadataUri}}", "/a/output_metadata.json"),
        ("{{$.pipeline_job_name}}/{{$.pipeline_job_resource_name}}", "My run/my-run-x"),
        ("{{$.pipeline_job_uuid}}{{$.pipeline_task_uuid}}", "uidt1"),
        ("{{$.pipeline_task_name}}", "train"),
        ("{{$.pipeline_root}}{{$.workspace_path}}", "/root/kfp-workspace"),
        ("{{$.pipeline_job_create_time_utc}}", "2026-01-01T00:00:00Z"),
        ("{{$.pipeline_job_schedule_time_utc}}", "2026-01-01T00:00:01Z"),
        ("{{$.json_escape[1]}} {{workflow.name}}", "{{$.json_escape[1]}} {{workflow.name}}"),
        ("{{$.something_new}}", "{{$.something_new}}"),
        ("no placeholder", "no placeholder"),
    ],
)
def test_each_placeholder(text: str, expected: str) -> None:
    assert placeholders.resolve_text(text, CONTEXT) == expected
    assert placeholders.resolve([text], CONTEXT) == [expected]


def test_the_whole_input_and_lists_of_artifacts_are_json() -> None:
    assert json.loads(placeholders.resolve_text("{{$}}", CONTEXT)) == INPUT
    listed = placeholders.resolve_text("{{$.inputs.artifacts['data']}}", CONTEXT)
    assert [each["uri"] for each in json.loads(listed)] == ["s3://b/d", "s3://b/e"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{$.inputs.parameters['x']}}", "there is no input parameter x"),
        ("{{$.inputs.artifacts['x'].uri}}", "there is no input artifact x"),
        ("{{$.outputs.artifacts['x'].path}}", "there is no output artifact x"),
        ("{{$.outputs.parameters['x'].output_file}}", "there is no output parameter x"),
        ("{{$.inputs.artifacts['data'].size}}", "data has no size"),
        ("{{$.inputs.artifacts['data'].metadata['x']}}", "data has no metadata.x"),
    ],
)
def test_what_is_not_there_is_named(text: str, message: str) -> None:
    with pytest.raises(UnresolvedError) as raised:
        placeholders.resolve_text(text, CONTEXT)
    assert str(raised.value) == f"{text}: {message}"


def _if(name: str, then: Any, otherwise: Any = None) -> dict[str, Any]:
    inner = {"InputName": name, "Then": then}
    return {"IfPresent": inner | ({} if otherwise is None else {"Else": otherwise})}


@pytest.mark.parametrize(
    ("composite", "expected"),
    [
        ({"Concat": ["a", "{{$.inputs.parameters['text']}}", "-b"]}, ["ahello-b"]),
        (_if("text", "--t"), ["--t"]),
        (_if("text", ["--t", "{{$.inputs.parameters['text']}}"]), ["--t", "hello"]),
        (_if("absent", "--t"), []),
        (_if("nothing", "--t", "--none"), ["--none"]),
        (_if("absent", "--t", ["--a", "--b"]), ["--a", "--b"]),
        (_if("data", "--data"), ["--data"]),
        (_if("none", "--data"), []),
        (_if("text", [{"Concat": ["--t=", "{{$.inputs.parameters['whole']}}"]}]), ["--t=5"]),
        ({"Concat": ["a", _if("absent", "b"), _if("text", "c")]}, ["ac"]),
        ({"Concat": [{"Concat": ["a", _if("text", _if("flag", "b"))]}, "c"]}, ["abc"]),
    ],
)
def test_composites(composite: dict[str, Any], expected: list[str]) -> None:
    assert placeholders.resolve(["first", json.dumps(composite), "last"], CONTEXT) == [
        "first",
        *expected,
        "last",
    ]


@pytest.mark.parametrize("text", ['{"Concat": [', '{"Concat": [], "b": 1}', '{"other": []}'])
def test_texts_that_only_look_like_composites_stay(text: str) -> None:
    assert placeholders.resolve([text], CONTEXT) == [text]


def test_composites_of_something_else_are_refused() -> None:
    with pytest.raises(UnresolvedError, match="neither a text nor Concat nor IfPresent"):
        placeholders.resolve(['{"Concat": [5]}'], CONTEXT)


def test_metadata_keeps_types_where_a_text_is_nothing_but_a_parameter() -> None:
    given = {
        "{{$.inputs.parameters['text']}}": "{{$.inputs.parameters['whole']}}",
        "list": ["{{$.inputs.parameters['items']}}", "n={{$.inputs.parameters['whole']}}", 3],
    }
    assert placeholders.resolve_json(given, CONTEXT) == {
        "hello": 5,
        "list": [[1, "a"], "n=5", 3],
    }


def test_facts_alone() -> None:
    text = "{{$.pipeline_job_name}} {{$.inputs.parameters['text']}} {{$.pipeline_task_uuid}}"
    found = placeholders.resolve_facts(text, Facts(job_name="My run"))
    assert found == "My run {{$.inputs.parameters['text']}} {{$.pipeline_task_uuid}}"


def test_parameters_alone() -> None:
    text = "{{$.inputs.parameters['a']}} {{$.inputs.parameters['b']}} {{$.pipeline_root}}"
    assert list(placeholders.parameters_in(text)) == ["a", "b"]
    found = placeholders.fill({"x": [text]}, {"a": 1})
    assert found == {"x": ["1 {{$.inputs.parameters['b']}} {{$.pipeline_root}}"]}
