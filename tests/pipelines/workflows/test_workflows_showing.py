"""Workflows as text: their head, and the tree of their steps."""

import datetime

from wherry.objects.requests import Object
from wherry.pipelines.workflows import names, showing

NOW = datetime.datetime(2026, 1, 2, 3, 10, tzinfo=datetime.UTC)
AT = "2026-01-02T03:0{}:00Z"


def node(name: str, type_: str, phase: str = "Succeeded", **more: object) -> Object:
    shown = str(more.pop("shown", name.rpartition(".")[2]))
    return {"name": name, "displayName": shown, "type": type_, "phase": phase, **more}


def workflow(*found: Object, **more: object) -> Object:
    made = {names.node_id("wf", each["name"]): each for each in found}
    status = {"phase": "Running", "startedAt": AT.format(1), "progress": "1/3", "nodes": made}
    return {
        "metadata": {"name": "wf", "namespace": "ns", "creationTimestamp": AT.format(0)},
        "spec": {"arguments": {"parameters": [{"name": "people", "value": "Ann\nBob"}]}},
        "status": {**status, **more},
    }


def id_(name: str) -> str:
    return names.node_id("wf", name)


def steps() -> Object:
    inside = {"boundaryID": "wf", "templateName": "say", "startedAt": AT.format(2)}
    first, second = "wf[0]", "wf[1]"
    pods = [f"wf[0].greet({number}:{name})" for number, name in ((2, "b"), (10, "a"))]
    return workflow(
        node("wf", "Steps", "Running", templateName="main"),
        node(first, "StepGroup", boundaryID="wf", children=[id_(each) for each in pods]),
        node(pods[1], "Pod", finishedAt=AT.format(3), children=[id_(second)], **inside),
        node(pods[0], "Pod", finishedAt=AT.format(4), children=[id_(second)], **inside),
        node(second, "StepGroup", "Running", boundaryID="wf", children=[id_("wf[1].again")]),
        node("wf[1].again", "Retry", children=[id_("wf[1].again(0)")], **inside),
        node("wf[1].again(0)", "Pod", "Failed", message="exit\x1b[1m code\n1", **inside),
        node("wf.onExit", "Pod", "Pending", templateName="bye", startedAt=AT.format(5)),
    )


def test_steps_that_run_at_once_are_drawn_together() -> None:
    rows = showing.steps(steps(), NOW)
    assert [row[0] for row in rows] == [
        " ● wf",
        " ├─┬─✔ greet(2:b)",
        " │ └─✔ greet(10:a)",
        " └───✖ again(0)",
        " ◷ onExit",
    ]
    assert rows[1][1:] == ["say", names.pod("wf", "wf[0].greet(2:b)", "say"), "2m0s", ""]
    assert rows[3][4] == "exit [1m code\\n1"


def test_a_terminal_with_ascii_alone() -> None:
    found = steps()
    rows = showing.steps(found, NOW, marks=showing.PLAIN, pods={id_("wf.onExit"): "pod-1"})
    assert [row[0] for row in rows] == [
        " * wf",
        " |-+-+ greet(2:b)",
        " | `-+ greet(10:a)",
        " `---x again(0)",
        " ~ onExit",
    ]
    assert rows[-1][2] == "pod-1"


def test_a_dag_within_steps_and_who_waits() -> None:
    found = workflow(
        node("wf", "DAG", "Running"),
        node("wf.a", "TaskGroup", boundaryID="wf", children=[id_("wf.a(0:x)")]),
        node("wf.a(0:x)", "DAG", boundaryID="wf", startedAt=AT.format(1)),
        node("wf.a(0:x).in", "Pod", boundaryID=id_("wf.a(0:x)"), startedAt=AT.format(1)),
        node("wf.b", "Suspend", "Running", boundaryID="wf", startedAt=AT.format(2)),
        node("wf.c", "Skipped", "Omitted", boundaryID="wf"),
        node("wf.d", "Retry", "Running", boundaryID="wf", children=[id_("wf.d(0)"), id_("wf.d(1)")]),
        node("wf.d(0)", "Pod", "Error", boundaryID="wf"),
        node("wf.d(1)", "Pod", "Running", boundaryID="wf"),
    )  # fmt: skip
    assert [row[0] for row in showing.steps(found, NOW)] == [
        " ● wf",
        " ├─✔ a(0:x)",
        " │ └─✔ in",
        " ├─ǁ b",
        " └─● d",
        "   ├─⚠ d(0)",
        "   └─● d(1)",
    ]


def test_nodes_that_are_joined_in_a_circle_are_drawn_once() -> None:
    found = workflow(
        node("wf", "Steps", boundaryID=id_("wf.a")), node("wf.a", "Pod", boundaryID="wf")
    )
    assert showing.steps(found, NOW) == []


def test_the_head() -> None:
    outputs = {"parameters": [{"name": "sum", "value": "3"}]}
    told = dict(showing.head(workflow(outputs=outputs, message="half way"), NOW))
    assert told == {
        "Name:": "wf",
        "Namespace:": "ns",
        "Status:": "Running",
        "Message:": "half way",
        "Created:": "2026-01-02T03:00:00Z (10m0s ago)",
        "Started:": "2026-01-02T03:01:00Z (9m0s ago)",
        "Duration:": "9m0s",
        "Progress:": "1/3",
        "Parameters:": "",
        "  people:": "Ann\\nBob",
        "Output Parameters:": "",
        "  sum:": "3",
    }
    new = {"metadata": {"name": "wf", "namespace": "ns"}, "spec": {"suspend": True}}
    assert dict(showing.head(new, NOW))["Status:"] == "Pending"
    assert showing.steps(new, NOW) == []
    held = {**new, "status": {"phase": "Running"}}
    assert dict(showing.head(held, NOW))["Status:"] == "Running (Suspended)"
