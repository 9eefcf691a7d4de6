"""Workflows as dictionaries: what is read, and what is said of what cannot be."""

from typing import Any

import pytest

from wherry.pipelines.workflows import messages, reading
from wherry.pipelines.workflows.messages import TemplateType
from wherry.pipelines.workflows.surroundings import RetryPolicy


def test_a_template_with_all_that_surrounds_it():
    written = {
        "name": "main",
        "inputs": {"parameters": [{"name": "n", "value": 5}, {"name": "b", "default": True}]},
        "script": {"image": "python", "command": ["python"], "source": "print(1)"},
        "sidecars": [{"name": "side", "image": "nginx", "mirrorVolumeMounts": True}],
        "retryStrategy": {"limit": 3, "retryPolicy": "OnError", "backoff": {"factor": "2"}},
        "activeDeadlineSeconds": "{{inputs.parameters.n}}",
        "outputs": {
            "parameters": [{"name": "o", "valueFrom": {"jqFilter": ".a", "default": 1.5}}],
            "artifacts": [
                {
                    "name": "a",
                    "path": "/a",
                    "archive": {"none": {}},
                    "artifactGC": {"strategy": "Never"},
                }
            ],
        },
    }
    template: Any = reading.read_template(written)
    assert template.types == (TemplateType.SCRIPT,)
    assert [each.value for each in template.inputs.parameters] == ["5", None]
    assert template.inputs.parameters[1].default == "true"
    assert template.script.source == "print(1)"
    assert template.script.container == {"image": "python", "command": ["python"]}
    assert template.sidecars[0].mirror_volume_mounts
    assert template.sidecars[0].container == {"name": "side", "image": "nginx"}
    assert template.retry_strategy.limit == "3"
    assert template.retry_strategy.retry_policy is RetryPolicy.ON_ERROR
    assert template.active_deadline_seconds == "{{inputs.parameters.n}}"
    assert template.outputs.parameters[0].value_from.default == "1.5"
    assert template.outputs.artifacts[0].archive.none == {}
    assert template.outputs.artifacts[0].artifact_gc.strategy == "Never"
    assert template.json is written


def test_steps_within_steps_and_templates_within_them():
    inline = {"container": {"image": "a"}}
    spec: Any = reading.read_spec(
        {
            "entrypoint": "main",
            "podGC": {"strategy": "OnPodSuccess"},
            "synchronization": {"mutex": {"name": "old"}, "mutexes": [{"name": "new"}]},
            "templates": [
                {"name": "main", "steps": [[{"name": "a", "inline": inline}], [{"name": "b"}]]},
                {
                    "name": "dag",
                    "dag": {"tasks": [{"name": "x", "depends": "y", "withParam": "[]"}]},
                },
            ],
        }
    )
    first, second = spec.templates
    assert [[step.name for step in group] for group in first.steps] == [["a"], ["b"]]
    assert first.steps[0][0].inline.container == {"image": "a"}
    assert isinstance(second.dag.tasks[0], messages.Task)
    assert second.dag.tasks[0].loops
    assert second.dag.tasks[0].json["depends"] == "y"
    assert spec.pod_gc.strategy == "OnPodSuccess"
    assert [each.name for each in spec.synchronization.all_mutexes] == ["new", "old"]


@pytest.mark.parametrize(
    ("spec", "field", "said"),
    [
        ({"templates": {}}, "spec.templates", "must be a list"),
        ({"templates": [{"steps": [{}]}]}, "spec.templates[0].steps[0]", "must be a list"),
        ({"entrypoint": 3}, "spec.entrypoint", "must be a text"),
        ({"parallelism": "many"}, "spec.parallelism", "must be a whole number"),
        (
            {"templates": [{"retryStrategy": {"retryPolicy": "Never"}}]},
            "spec.templates[0].retryStrategy.retryPolicy",
            "Always, OnFailure, OnError, OnTransientError",
        ),
        (
            {"arguments": {"artifacts": [{"name": "a", "s3": {}, "raw": {}}]}},
            "spec.arguments.artifacts[0]",
            "only one of s3, raw",
        ),
        ([], "spec", "must be an object"),
    ],
)
def test_what_is_of_the_wrong_type_is_named_with_its_place(spec, field, said):
    with pytest.raises(reading.SpecError) as refused:
        reading.read_spec(spec)
    (cause,) = refused.value.causes
    assert cause.field == field
    assert said in cause.message


def test_what_is_not_known_is_told_but_not_refused():
    read = reading.read(messages.WorkflowSpec, {"entryPoint": "a", "parallelism": 1}, "spec")
    assert read.causes == []
    (unknown,) = read.unknown
    assert unknown.field == "spec.entryPoint"
    assert "did you mean entrypoint?" in unknown.message
    assert read.message.parallelism == 1


def test_names_of_python_and_of_the_protocol_are_not_names_of_fields():
    read = reading.read(messages.WorkflowSpec, {"on_exit": "a"}, "spec")
    assert read.message.on_exit == ""
    assert [cause.field for cause in read.unknown] == ["spec.on_exit"]


def test_what_lies_too_deep_is_refused():
    template: dict[str, Any] = {"container": {}}
    for _ in range(200):
        template = {"steps": [[{"name": "a", "inline": template}]]}
    with pytest.raises(reading.SpecError, match="lies deeper than 50"):
        reading.read_template(template)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (5, "5"),
        (2.0, "2"),
        (0.1, "0.1"),
        (1e21, "1000000000000000000000"),
        (True, "true"),
        ({"b": 1, "a": [None]}, '{"a":[null],"b":1}'),
    ],
)
def test_any_value_is_a_text(value, text):
    assert reading.any_text(value) == text
