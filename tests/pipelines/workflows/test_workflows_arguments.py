"""What steps are given, and what becomes of them where that cannot be had; nothing runs here."""

from collections.abc import Mapping
from typing import Any

from wherry.metadata.records import Execution, Values
from wherry.pipelines.graph.model import Attempt, Start, State
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.workflows import reading
from wherry.pipelines.workflows.language import WorkflowLanguage
from wherry.pipelines.workflows.steps import outputs
from wherry.pipelines.workflows.templates import Templates

NOW = 1_000_000.0
LEAF = {
    "name": "leaf",
    "inputs": {"parameters": [{"name": "m"}]},
    "container": {"image": "a"},
}


class Nothing:
    """Looks up nothing."""

    def facts(self, path: str) -> Mapping[str, Any]:
        return {}

    def config(self, name: str, key: str) -> str | None:
        return None

    def row(self, path: str) -> Execution | None:
        return None


def walked(*templates: Mapping[str, Any], **fields: Any) -> Walk:
    """Return a walk whose steps have all succeeded, without giving anything."""
    spec = reading.read_spec(
        {"entrypoint": templates[0]["name"], "templates": [*templates], **fields}
    )
    language = WorkflowLanguage(
        name="wf",
        spec=spec,
        templates=Templates(spec, lambda where: None, {}),
        given={"workflow.name": "wf"},
        looking=Nothing(),
    )
    walk = Walk(language.graph, language, Values())
    language.root = walk.bare_root
    while starts := [each for each in walk.ready(NOW) if isinstance(each, Start)]:
        for start in starts:
            walk.record(Attempt(start.path, start.number))
            walk.record(Attempt(start.path, start.number, State.SUCCEEDED, ended_at=NOW))
    return walk


def given(walk: Walk, path: str) -> Any:
    """Return the parameter that a step was given."""
    spot = walk.spot(path)
    assert spot is not None
    return spot.inputs.parameters.get("m")


def call(name: str, value: str, **fields: Any) -> Mapping[str, Any]:
    arguments = {"parameters": [{"name": "m", "value": value}]}
    return {"name": name, "template": "leaf", "arguments": arguments, **fields}


def test_values_of_inputs_may_speak_of_inputs_before_them() -> None:
    inputs = [
        {"name": "one", "value": "1"},
        {"name": "two", "value": "{{=inputs.parameters.one + '2'}}"},
    ]
    main = {
        "name": "main",
        "inputs": {"parameters": inputs},
        "steps": [[call("a", "{{inputs.parameters.two}}")]],
    }
    assert given(walked(main, LEAF), "root/MAIN/0/a") == "12"


def test_names_are_those_of_what_called_the_template() -> None:
    inner = {"name": "inner", "dag": {"tasks": [call("t", "{{steps.name}} in {{node.name}}")]}}
    outer = {"name": "outer", "steps": [[call("s", "{{tasks.name}} in {{node.name}}")]]}
    main = {
        "name": "main",
        "steps": [
            [call("a", "[{{steps.name}}] in {{=node.name}}"), {"name": "b", "template": "inner"}]
        ],
    }
    walk = walked(main, inner, LEAF)
    assert given(walk, "root/MAIN/0/a") == "[] in wf"
    assert given(walk, "root/MAIN/0/b/t") == "b in wf[0].b"
    dag = {"name": "dag", "dag": {"tasks": [{"name": "c", "template": "outer"}]}}
    assert given(walked(dag, outer, LEAF), "root/MAIN/c/0/s") == "c in wf.c"


def test_items_are_maps_in_expressions() -> None:
    value = "{{=get(item, 'none') ?? item.name}}"
    main = {"name": "main", "steps": [[call("a", value, withItems=[{"name": "x"}])]]}
    assert given(walked(main, LEAF), "root/MAIN/0/a[0]") == "x"


def test_an_optional_artifact_that_was_not_made_is_not_missed() -> None:
    made = {"artifacts": [{"name": "o", "path": "/o", "optional": True}]}
    wanted = {"artifacts": [{"name": "i", "path": "/i", "optional": True}]}
    source = [{"name": "i", "from": "{{steps.a.outputs.artifacts.o}}"}]
    main = {
        "name": "main",
        "steps": [
            [{"name": "a", "template": "make"}],
            [{"name": "b", "template": "take", "arguments": {"artifacts": source}}],
        ],
    }
    make = {"name": "make", "container": {"image": "a"}, "outputs": made}
    take = {"name": "take", "container": {"image": "a"}, "inputs": wanted}
    assert walked(main, make, take).state is State.SUCCEEDED
    wanted["artifacts"][0]["optional"] = False
    walk = walked(main, make, take)
    assert walk.state is State.FAILED
    assert walk.known("root/MAIN/1/b").state is State.ERROR


def test_a_variable_that_is_not_there_is_an_error_not_a_failure() -> None:
    main = {"name": "main", "dag": {"tasks": [call("a", "{{tasks.b.outputs.result}}")]}}
    walk = walked(main, LEAF)
    assert walk.known("root/MAIN/a").state is State.ERROR
    assert "tasks.b.outputs.result" in walk.known("root/MAIN/a").error


def test_outputs_whose_values_are_written_down() -> None:
    given_ = [{"name": "a", "value": 5}, {"name": "b", "valueFrom": {"path": "/b"}}]
    assert outputs.written_down({"outputs": {"parameters": given_}}) == {"a": "5"}
    assert outputs.written_down({}) == {}
