"""What daemons that end too early make of what is around them, also when the walk is made anew. Pure."""

import dataclasses
from typing import Any

import pytest

from wherry.metadata.records import Values
from wherry.objects.requests import Object
from wherry.pipelines.controller.engine import ended
from wherry.pipelines.graph.model import State
from wherry.pipelines.workflows.controller import daemons
from wherry.pipelines.workflows.controller.engine import DAEMON
from wherry.pipelines.workflows.sums import DAEMONED
from wherry.testing.workflow_plays import Play

LEAF = {"container": {"image": "python:3.11", "command": ["true"]}}
SERVER = "root/MAIN/server"


def played(main: Object) -> Play:
    templates = [
        {"name": "main", **main},
        {"name": "s", "daemon": True, **LEAF},
        {"name": "t", **LEAF},
    ]
    play = Play({"entrypoint": "main", "templates": templates})
    play.look()
    return play


def task(name: str, depends: str = "", **more: Any) -> Object:
    told = {"name": name, "template": "s" if name == "server" else "t", **more}
    return {**told, "depends": depends} if depends else told


def dag(*tasks: Object) -> Object:
    return {"dag": {"tasks": [*tasks]}}


def ready(play: Play, path: str = SERVER) -> None:
    """Have a daemon be ready."""
    row = play.engine.running[path]
    row = dataclasses.replace(row, properties={**row.properties, DAEMON: True})
    play.take(ended(row, State.SUCCEEDED, play.time, outputs=Values({DAEMONED: True})))
    play.look()


def lose(play: Play, path: str = SERVER) -> None:
    """Have a daemon fail."""
    row = play.rows[path]
    play.take(daemons.lost(play.engine, row, State.FAILED, "it fell", now=play.time))


@pytest.mark.parametrize("restarts", [False, True])
def test_what_has_begun_goes_on(restarts: bool) -> None:
    play = played(dag(task("server"), task("a", "server")))
    ready(play)
    lose(play)
    found = play.run(restarts=restarts)
    assert found == {"wf": "Succeeded", "wf.server": "Failed", "wf.a": "Succeeded"}


@pytest.mark.parametrize("restarts", [False, True])
def test_what_begins_later_is_omitted(restarts: bool) -> None:
    play = played(dag(task("server"), task("a", "server"), task("b", "server && a")))
    ready(play)
    lose(play)
    found = play.run(restarts=restarts)
    assert found["wf"] == "Failed"
    assert [found[f"wf.{name}"] for name in ("server", "a", "b")] == [
        "Failed",
        "Succeeded",
        "Omitted",
    ]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("depends", "wanted"),
    [
        ("server.Failed && a", "Succeeded"),
        ("server.Daemoned && a", "Omitted"),
        ("server.Succeeded && a", "Omitted"),
    ],
)
def test_what_others_depend_on(depends: str, wanted: str, restarts: bool) -> None:
    play = played(dag(task("server"), task("a"), task("b", depends)))
    ready(play)
    lose(play)
    assert play.run(restarts=restarts)["wf.b"] == wanted


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(("goes_on", "wanted"), [({}, "Failed"), ({"failed": True}, "Succeeded")])
def test_a_branch_that_ends_with_a_daemon(goes_on: Object, wanted: str, restarts: bool) -> None:
    play = played(dag(task("server", continueOn=goes_on), task("a")))
    ready(play)
    lose(play)
    assert play.run(restarts=restarts)["wf"] == wanted


@pytest.mark.parametrize("restarts", [False, True])
def test_what_was_omitted_before_stays_so(restarts: bool) -> None:
    play = played(dag(task("server"), task("a", "server"), task("b", "server.Failed")))
    ready(play)
    assert play.phases()["wf.b"] == "Omitted"
    lose(play)
    assert play.run(restarts=restarts)["wf.b"] == "Omitted"


@pytest.mark.parametrize("restarts", [False, True])
def test_steps_after_a_group_go_on(restarts: bool) -> None:
    play = played({"steps": [[task("server")], [task("a")], [task("b")]]})
    path = next(each for each in play.engine.running if each.endswith("/server"))
    ready(play, path)
    lose(play, path)
    found = play.run(restarts=restarts)
    assert found["wf"] == found["wf[2].b"] == "Succeeded"
    assert found["wf[0].server"] == "Failed"


@pytest.mark.parametrize("restarts", [False, True])
def test_a_group_that_goes_on_fails(restarts: bool) -> None:
    play = played({"steps": [[task("server"), task("a")], [task("b")]]})
    path = next(each for each in play.engine.running if each.endswith("/server"))
    ready(play, path)
    lose(play, path)
    found = play.run(restarts=restarts)
    assert (found["wf"], found["wf[0]"], found["wf[0].a"]) == ("Failed", "Failed", "Succeeded")
    assert "wf[1].b" not in found


def test_a_daemon_that_goes_on_is_not_done() -> None:
    play = played(dag(task("server"), task("a", "server")))
    ready(play)
    nodes = {each["name"]: each for each in play.nodes()}
    server = nodes["wf.server"]
    assert (server["phase"], server["daemoned"], server["progress"]) == ("Running", True, "0/1")
    assert "finishedAt" not in server
    play.run()
    server = {each["name"]: each for each in play.nodes()}["wf.server"]
    assert (server["phase"], server["progress"]) == ("Succeeded", "1/1")
    assert "daemoned" not in server
