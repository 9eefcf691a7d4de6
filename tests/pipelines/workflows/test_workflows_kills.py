"""The control plane is killed over and over while a workflow runs: each node's effect is there once."""

import functools
import json
import random
import time

import pytest

from wherry.objects import errors
from wherry.pipelines.workflows import kinds, nodes
from wherry.testing.waiting import eventually

KILLS = 30
TURNS = 33
"""With three steps each, and one before: 100 nodes that have pods."""
FINAL = ("Succeeded", "Failed", "Error")


def spec(folder):
    """Return a workflow whose steps note in a folder that they have begun, and hand on numbers."""
    script = (
        f"echo x >> {folder}/{{{{inputs.parameters.who}}}}-{{{{steps.name}}}}; sleep 0.05; "
        "echo $(({{inputs.parameters.n}} + 1))"
    )

    def step(name, n):
        given = [{"name": "who", "value": "{{inputs.parameters.who}}"}, {"name": "n", "value": n}]
        return [{"name": name, "template": "add", "arguments": {"parameters": given}}]

    takes = [{"name": "who"}, {"name": "n"}]
    chain = {
        "name": "chain",
        "inputs": {"parameters": [{"name": "who"}]},
        "steps": [
            step("a", "{{inputs.parameters.who}}"),
            step("b", "{{steps.a.outputs.result}}"),
            step("c", "{{steps.b.outputs.result}}"),
        ],
        "outputs": {
            "parameters": [
                {"name": "out", "valueFrom": {"parameter": "{{steps.c.outputs.result}}"}}
            ]
        },
    }
    numbers = {"image": "python:3.11", "command": ["sh", "-ec"]}
    given = {"parameters": [{"name": "who", "value": "{{item}}"}]}
    loop = {
        "name": "each",
        "template": "chain",
        "depends": "list",
        "arguments": given,
        "withParam": "{{tasks.list.outputs.result}}",
    }
    return {
        "entrypoint": "main",
        "parallelism": 8,
        "templates": [
            {
                "name": "main",
                "dag": {"tasks": [{"name": "list", "template": "list"}, loop]},
                "outputs": {
                    "parameters": [
                        {
                            "name": "all",
                            "globalName": "all",
                            "valueFrom": {"parameter": "{{tasks.each.outputs.parameters.out}}"},
                        }
                    ]
                },
            },
            {
                "name": "list",
                "container": {
                    **numbers,
                    "args": [f"seq {TURNS} | paste -sd, | sed 's/.*/[&]/'"],
                },
            },
            chain,
            {
                "name": "add",
                "inputs": {"parameters": takes},
                "container": {**numbers, "args": [script]},
            },
        ],
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_node_is_lost_and_none_runs_twice(running, tmp_path):
    folder = tmp_path / "noted"
    folder.mkdir()
    body = {"metadata": {"name": "run", "namespace": "default"}, "spec": spec(folder)}
    running.ask(lambda client: client.create(kinds.WORKFLOWS, body))
    chance = random.Random(7)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.5))
        running.restart()
    workflow = eventually(lambda: ended(running), 900)
    status = workflow["status"]
    assert status["phase"] == "Succeeded", status
    [made] = status["outputs"]["parameters"]
    assert json.loads(made["value"]) == [str(n + 3) for n in range(1, TURNS + 1)]
    noted = {path.name: path.read_text() for path in folder.iterdir()}
    wanted = {f"{n}-{kind}" for n in range(1, TURNS + 1) for kind in "abc"}
    assert noted == dict.fromkeys(wanted, "x\n")
    pods = [each for each in nodes.stored(workflow).values() if each["type"] == "Pod"]
    assert len(pods) == 3 * TURNS + 1
    assert {each["phase"] for each in pods} == {"Succeeded"}


def locked(folder, who):
    """Return a workflow whose two nodes note when they hold a mutex, and when they give it back."""
    script = f"echo in-{who} >> {folder}/log; sleep 1; echo out-{who} >> {folder}/log"
    container = {"image": "python:3.11", "command": ["sh", "-ec", script]}
    return {
        "entrypoint": "main",
        "templates": [
            {
                "name": "main",
                "steps": [[{"name": "a", "template": "say"}, {"name": "b", "template": "whole"}]],
            },
            {
                "name": "say",
                "container": container,
                "synchronization": {"mutexes": [{"name": "m"}]},
            },
            {
                "name": "whole",
                "steps": [[{"name": "c", "template": "bare"}]],
                "synchronization": {"mutexes": [{"name": "m"}]},
            },
            {"name": "bare", "container": container},
        ],
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_lock_is_held_by_one_whatever_is_killed(running, tmp_path):
    folder = tmp_path / "noted"
    folder.mkdir()
    for who in ("x", "y"):
        body = {"metadata": {"name": who, "namespace": "default"}, "spec": locked(folder, who)}
        running.ask(lambda client, body=body: client.create(kinds.WORKFLOWS, body))
    chance = random.Random(3)
    for _ in range(5):
        time.sleep(chance.uniform(0, 1))
        running.restart()
    for who in ("x", "y"):
        workflow = eventually(functools.partial(ended, running, who), 300)
        assert workflow["status"]["phase"] == "Succeeded", workflow["status"]
    lines = (folder / "log").read_text().split()
    assert len(lines) == 8
    for entered, left in zip(lines[::2], lines[1::2], strict=True):
        assert left == entered.replace("in-", "out-")


def ended(platform, name="run"):
    """Return the workflow once it has ended; None before, and while nobody answers."""
    try:
        found = platform.ask(lambda client: client.get(kinds.WORKFLOWS, name, "default"))
    except (errors.ApiError, OSError):
        return None
    return found if (found.get("status") or {}).get("phase") in FINAL else None
