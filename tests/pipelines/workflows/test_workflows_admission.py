"""What is wrong with workflows, as it is said when they are submitted."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.pipelines.workflows import admission, kinds

HELLO = {
    "name": "hello",
    "inputs": {"parameters": [{"name": "message"}]},
    "container": {"image": "busybox", "args": ["{{inputs.parameters.message}}"]},
    "outputs": {"parameters": [{"name": "out", "valueFrom": {"path": "/out"}}]},
}
GIVEN = {"parameters": [{"name": "message", "value": "hi"}]}


def workflow(*templates, **spec):
    """Return a workflow that begins with its first template."""
    return {
        "metadata": {"generateName": "w-", "labels": {"team": "a"}},
        "spec": {"entrypoint": templates[0]["name"], "templates": [*templates]} | spec,
    }


def steps(*groups, **fields):
    return {"name": "main", "steps": [*groups]} | fields


def dag(*tasks, **fields):
    return {"name": "main", "dag": {"tasks": [*tasks]}} | fields


def step(name, message="hi", **fields):
    given = {"parameters": [{"name": "message", "value": message}]}
    return {"name": name, "template": "hello", "arguments": given} | fields


def leaf(name="main", **fields):
    return {"name": name, "container": {"image": "busybox"}} | fields


def said(obj, check=admission.validate):
    return {cause.field: cause.message for cause in check(obj, None)}


GOOD = [
    workflow(leaf()),
    workflow(HELLO, arguments=GIVEN),
    workflow(steps([step("a")], [step("b", "{{steps.a.outputs.result}} {{steps.a.id}}")]), HELLO),
    workflow(steps([step("a", "{{item}}", withItems=[1, "b"])]), HELLO),
    workflow(steps([step("a", "{{item.x}}", withItems=[{"x": 1}])]), HELLO),
    workflow(
        steps([step("a", "{{item.any}}", withParam="{{workflow.parameters.list}}")]),
        HELLO,
        arguments={"parameters": [{"name": "list", "value": "[]"}]},
    ),
    workflow(
        dag(step("a"), step("b", "{{tasks.a.outputs.parameters.out}}", dependencies=["a"])), HELLO
    ),
    workflow(dag(step("a", withItems=[1]), step("b", depends="a.AnySucceeded")), HELLO),
    workflow(dag(step("a"), step("b", depends="!a.Succeeded && (a.Failed || a.Errored)")), HELLO),
    workflow(
        steps(
            [{"name": "r", "templateRef": {"name": "t", "template": "x"}}],
            [step("b", "{{steps.r.outputs.parameters.whatever}}")],
        ),
        HELLO,
    ),
    workflow(steps([step("again", when="1 == 2"), {"name": "self", "template": "main"}]), HELLO),
    workflow(steps([{"name": "i", "inline": leaf("")}]), HELLO),
    workflow(
        leaf(
            container={
                "image": "a",
                "args": ["{{workflow.labels.team}} {{pod.name}} {{.Go}} {{=1}}"],
            }
        )
    ),
    workflow({"name": "main", "suspend": {}}),
    workflow(
        {"name": "main", "script": {"source": "x"}},
        templateDefaults={"script": {"image": "a", "source": ""}},
    ),
    workflow(
        {
            "name": "main",
            "resource": {"action": "create", "manifest": "a: {{workflow.name}}\nb: [1]"},
        }
    ),
    {"metadata": {"name": "w"}, "spec": {"workflowTemplateRef": {"name": "t"}}},
    workflow(leaf(metrics={"prometheus": [{"name": "a", "help": "b", "counter": {"value": "1"}}]})),
    workflow(leaf(), leaf("other"), onExit="other", hooks={"exit": {"template": "other"}}),
    workflow(
        steps(
            [
                step(
                    "a",
                    hooks={
                        "running": {
                            "template": "hello",
                            "expression": 'steps.a.status == "Running"',
                        }
                    },
                )
            ]
        ),
        HELLO,
    ),
]


@pytest.mark.parametrize("obj", GOOD)
def test_what_is_right(obj):
    assert said(obj) == {}


MAIN = "spec.templates[0]"
BAD = [
    (workflow(leaf(), entrypoint=""), "spec.entrypoint", "is missing"),
    (workflow(leaf(), entrypoint="other"), "spec.entrypoint", "no template 'other'; there is main"),
    (workflow(leaf(), leaf()), "spec.templates[1].name", "there twice"),
    (workflow(leaf("a_b")), f"{MAIN}.name", "letters, digits and '-'"),
    (workflow({"name": "main"}), MAIN, "one of container, containerSet"),
    (workflow(leaf(suspend={})), MAIN, "only one of container, suspend"),
    (workflow(leaf(container={})), f"{MAIN}.container.image", "missing"),
    (workflow(HELLO), "spec.arguments.parameters", "wants the parameter 'message'"),
    (
        workflow(leaf(), arguments={"parameters": [{"name": "a"}]}),
        "spec.arguments.parameters[0]",
        "neither value nor valueFrom",
    ),
    (
        workflow(
            leaf(), arguments={"parameters": [{"name": "a", "value": "c", "enum": ["b", "d"]}]}
        ),
        "spec.arguments.parameters[0].value",
        "not one of b, d",
    ),
    (
        workflow(
            leaf(),
            arguments={"parameters": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]},
        ),
        "spec.arguments.parameters[1].name",
        "twice",
    ),
    (
        workflow(leaf(), arguments={"artifacts": [{"name": "a"}]}),
        "spec.arguments.artifacts[0]",
        "comes from nowhere",
    ),
    (
        workflow(leaf(container={"image": "{{inputs.parameters.a}}"})),
        MAIN,
        "there is no variable inputs.parameters.a",
    ),
    (
        workflow(leaf(container={"image": "{{workflow.parameters.a}}"})),
        MAIN,
        "workflow.parameters.a",
    ),
    (workflow(leaf(container={"image": "{{=1 +}}"})), MAIN, "no expression"),
    (workflow(leaf(retryStrategy={"expression": "lastRetry.exitCode =="})), MAIN, "no expression"),
    (
        workflow(steps([step("a", "{{steps.b.outputs.result}}")], [step("b")]), HELLO),
        f"{MAIN}.steps[0][0]",
        "steps.b.outputs.result",
    ),
    (
        workflow(steps([step("a")], [step("b", "{{steps.a.outputs.parameters.zz}}")]), HELLO),
        f"{MAIN}.steps[1][0]",
        "parameters.zz",
    ),
    (workflow(steps([step("a")], [step("a")]), HELLO), f"{MAIN}.steps[1].name", "twice"),
    (
        workflow(steps([step("a", template="none")]), HELLO),
        f"{MAIN}.steps[0][0].template",
        "no template 'none'",
    ),
    (
        workflow(steps([{"name": "a"}]), HELLO),
        f"{MAIN}.steps[0][0]",
        "one of template, templateRef, inline",
    ),
    (
        workflow(steps([step("a", templateRef={"name": "x", "template": "y"})]), HELLO),
        f"{MAIN}.steps[0][0]",
        "only one of template, templateRef",
    ),
    (
        workflow(steps([{"name": "a", "templateRef": {"name": "x"}}])),
        f"{MAIN}.steps[0][0].templateRef.template",
        "missing",
    ),
    (
        workflow(steps([{"name": "a", "template": "hello"}]), HELLO),
        f"{MAIN}.steps[0][0].arguments.parameters",
        "wants the parameter 'message'",
    ),
    (
        workflow(steps([step("a", withItems=[1], withParam="[]")]), HELLO),
        f"{MAIN}.steps[0][0]",
        "only one of withItems, withParam",
    ),
    (
        workflow(steps([step("a", withSequence={"count": 1, "end": 2})]), HELLO),
        f"{MAIN}.steps[0][0].withSequence",
        "only one of count, end",
    ),
    (
        workflow(steps([step("a", hooks={"running": {"template": "hello"}})]), HELLO),
        f"{MAIN}.steps[0][0].hooks.running.expression",
        "missing",
    ),
    (
        workflow(steps([step("a", onExit="none")]), HELLO),
        f"{MAIN}.steps[0][0].onExit",
        "no template 'none'",
    ),
    (
        workflow(steps([step("a")], activeDeadlineSeconds=3), HELLO),
        f"{MAIN}.activeDeadlineSeconds",
        "timeouts of steps",
    ),
    (workflow(steps([step("a")], timeout="3s"), HELLO), f"{MAIN}.timeout", "has none"),
    (workflow(dag()), f"{MAIN}.dag.tasks", "at least one"),
    (
        workflow(dag(step("a", dependencies=["b"])), HELLO),
        f"{MAIN}.dag.tasks[0].dependencies",
        "no task 'b'",
    ),
    (
        workflow(dag(step("a", depends="b.Nothing")), HELLO),
        f"{MAIN}.dag.tasks[0].depends",
        "no result of task 'b'",
    ),
    (
        workflow(dag(step("a"), step("b", depends="a.AllFailed")), HELLO),
        f"{MAIN}.dag.tasks[1].depends",
        "no items",
    ),
    (
        workflow(dag(step("a", dependencies=["b"]), step("b", dependencies=["a"])), HELLO),
        f"{MAIN}.dag.tasks",
        "a → b → a",
    ),
    (workflow(dag(step("a", dependencies=["a"])), HELLO), f"{MAIN}.dag.tasks", "a → a"),
    (
        workflow(dag(step("a"), step("b", depends="a"), step("c", dependencies=["a"])), HELLO),
        f"{MAIN}.dag.tasks[2].dependencies",
        "not both",
    ),
    (
        workflow(dag(step("a", continueOn={"failed": True}), step("b", depends="a")), HELLO),
        f"{MAIN}.dag.tasks[0].continueOn",
        "task.Failed",
    ),
    (
        workflow(dag(step("1a"), step("b", depends="1a")), HELLO),
        f"{MAIN}.dag.tasks[0].name",
        "begins with a digit",
    ),
    (
        workflow(dag(step("a"), step("b", "{{tasks.a.outputs.result}}")), HELLO),
        f"{MAIN}.dag.tasks[1].arguments",
        "does not depend",
    ),
    (
        workflow({"name": "main", "dag": {"target": "z", "tasks": [step("a")]}}, HELLO),
        f"{MAIN}.dag.target",
        "no task 'z'",
    ),
    (workflow(leaf(parallelism=2)), f"{MAIN}.parallelism", "only templates of steps and dag"),
    (workflow(leaf(timeout="30")), f"{MAIN}.timeout", "no unit"),
    (workflow(leaf(activeDeadlineSeconds="soon")), f"{MAIN}.activeDeadlineSeconds", "whole number"),
    (
        workflow(leaf(sidecars=[{"name": "wait", "image": "a"}])),
        f"{MAIN}.sidecars[0].name",
        "engine's own",
    ),
    (workflow(leaf(initContainers=[{"image": "a"}])), f"{MAIN}.initContainers[0].name", "missing"),
    (
        workflow(leaf(inputs={"artifacts": [{"name": "a", "optional": True}]})),
        f"{MAIN}.inputs.artifacts[0].path",
        "missing",
    ),
    (
        workflow(
            leaf(inputs={"artifacts": [{"name": "a", "path": "/x/../y", "raw": {"data": ""}}]})
        ),
        f"{MAIN}.inputs.artifacts[0].path",
        "upwards",
    ),
    (
        workflow(leaf(inputs={"artifacts": [{"name": "a", "path": "/x", "git": {}}]})),
        f"{MAIN}.inputs.artifacts[0].git.repo",
        "missing",
    ),
    (
        workflow(
            steps(
                [step("a")], inputs={"artifacts": [{"name": "a", "path": "/x", "optional": True}]}
            ),
            HELLO,
        ),
        f"{MAIN}.inputs.artifacts[0].path",
        "has no files",
    ),
    (
        workflow(leaf(outputs={"parameters": [{"name": "a"}]})),
        f"{MAIN}.outputs.parameters[0]",
        "neither valueFrom nor value",
    ),
    (
        workflow(leaf(outputs={"parameters": [{"name": "a", "valueFrom": {}}]})),
        f"{MAIN}.outputs.parameters[0].valueFrom",
        "says no source",
    ),
    (
        workflow(
            leaf(
                outputs={
                    "parameters": [{"name": "a", "valueFrom": {"path": "/a", "jsonPath": "b"}}]
                }
            )
        ),
        f"{MAIN}.outputs.parameters[0].valueFrom",
        "only one of path, jsonPath",
    ),
    (
        workflow(leaf(outputs={"parameters": [{"name": "a", "valueFrom": {"parameter": "b"}}]})),
        f"{MAIN}.outputs.parameters[0].valueFrom",
        "a path is wanted",
    ),
    (
        workflow(
            leaf(
                outputs={
                    "parameters": [{"name": "a", "globalName": "b c", "valueFrom": {"path": "/b"}}]
                }
            )
        ),
        f"{MAIN}.outputs.parameters[0].globalName",
        "letters",
    ),
    (
        workflow({"name": "main", "resource": {"action": "make"}}),
        f"{MAIN}.resource.action",
        "get, create, apply, delete, replace, patch",
    ),
    (
        workflow({"name": "main", "resource": {"action": "create"}}),
        f"{MAIN}.resource",
        "one of manifest, manifestFrom",
    ),
    (
        workflow({"name": "main", "resource": {"action": "create", "manifest": "a: [b"}}),
        f"{MAIN}.resource.manifest",
        "no YAML",
    ),
    (workflow({"name": "main", "http": {}}), f"{MAIN}.http.url", "missing"),
    (
        workflow({"name": "main", "containerSet": {"containers": []}}),
        f"{MAIN}.containerSet.containers",
        "at least one",
    ),
    (
        workflow(
            {"name": "main", "containerSet": {"containers": [{"name": "a", "dependencies": ["b"]}]}}
        ),
        f"{MAIN}.containerSet.containers[0].dependencies",
        "no container 'b'",
    ),
    (
        workflow(
            leaf(metrics={"prometheus": [{"name": "a.b", "help": "c", "counter": {"value": "1"}}]})
        ),
        f"{MAIN}.metrics.prometheus[0].name",
        "letters",
    ),
    (workflow(leaf(), onExit="none"), "spec.onExit", "no template 'none'"),
    (workflow(leaf(), podGC={"strategy": "Sometime"}), "spec.podGC.strategy", "OnPodCompletion"),
    (
        workflow(leaf(), podGC={"labelSelector": {"matchLabels": {"a": "/"}}}),
        "spec.podGC.labelSelector",
        "a",
    ),
    (
        workflow(leaf(), podResources={"limits": {"gpu": 1}}),
        "spec.podResources.limits",
        "cpu, memory",
    ),
    (workflow(leaf(), workflowTemplateRef={"name": "t"}), "spec.templates", "either has templates"),
    (
        workflow(leaf(), metadata=1) | {"metadata": {"name": "w" * 64}},
        "metadata.name",
        "at most 63",
    ),
    (workflow(leaf(), volumes="x"), "spec.volumes", "must be a list"),
    (
        workflow(leaf(container={"image": "a", "args": ["x" * kinds.MAX_SPEC_BYTES]})),
        "spec",
        "can be kept",
    ),
]


@pytest.mark.parametrize(("obj", "field", "message"), BAD)
def test_what_is_wrong(obj, field, message):
    found = said(obj)
    assert field in found
    assert message in found[field]


def test_templates_may_leave_to_others_what_they_know():
    spec = {
        "arguments": {"parameters": [{"name": "a"}]},
        "templates": [leaf(container={"image": "{{workflow.parameters.other}}"})],
    }
    obj = {"metadata": {"name": "t"}, "spec": spec}
    assert said(obj, admission.template) == {}
    spec["entrypoint"] = "none"
    assert "spec.entrypoint" in said(obj, admission.template)


def test_what_does_not_change_is_not_looked_at_again():
    bad = workflow(leaf(), entrypoint="none")
    assert admission.validate(bad, None)
    told = copy.deepcopy(bad) | {"status": {"phase": "Running"}}
    assert admission.validate(told, bad) == ()
    changed = copy.deepcopy(bad)
    changed["spec"]["suspend"] = True
    assert admission.validate(changed, bad)


def test_unknown_fields_are_told():
    obj = workflow(leaf(daemonn=True), entryPoint="x")
    assert said(obj) == {}
    told = admission.warnings(obj)
    assert any("spec.templates[0].daemonn" in each and "daemon?" in each for each in told)
    assert any("spec.entryPoint" in each for each in told)
    assert "spec.oops" in admission.cron_warnings({"spec": {"oops": 1}})[0]


def places(value, path=()):
    """Yield where the parts of JSON stand."""
    if path:
        yield path
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, each in parts:
        yield from places(each, (*path, key))


@given(st.data())
def test_whatever_is_put_anywhere_is_refused_or_right(data):
    odd: st.SearchStrategy[Any] = st.sampled_from(
        [None, 0, -1.5, True, "", "{{", "{{=", "{{item.x}}", [], {}, [[{}]], {"a": 1}, "\ud800"]
    )
    obj = copy.deepcopy(data.draw(st.sampled_from([*GOOD, *(each[0] for each in BAD[:-1])])))
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from([*places(obj["spec"])]))
        part = obj["spec"]
        for key in above:
            part = part[key]
        part[last] = copy.deepcopy(data.draw(odd))
    for check in (admission.validate, admission.template):
        assert all(cause.field and cause.message for cause in check(obj, None))
    admission.warnings(obj)


@pytest.mark.timeout(200)
def test_thousands_of_tasks_in_a_chain_are_checked_in_no_time():
    """Checking each against all others, or all variables anew for each, would take minutes."""
    tasks = [step("t0")]
    tasks += [step(f"t{n}", dependencies=[f"t{n - 1}"]) for n in range(1, 6000)]
    assert said(workflow(dag(*tasks), HELLO)) == {}
