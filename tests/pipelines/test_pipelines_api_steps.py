"""What steps say by REST, and runs that are taken up again from a step: beside upstream's calls."""

import pytest

from wherry.client.transports import lines
from wherry.client.transports.http import HttpTransport
from wherry.objects import errors, metadata
from wherry.pipelines import find_run, kinds
from wherry.pipelines.service import Service
from wherry.testing.pipelines_api import PROXY
from wherry.testing.waiting import eventually

OWN = "/apis/wherry.dev/v1"


def test_what_a_step_has_said_is_read(api, runs, pipeline):
    made = pipeline()
    made.step("say", "echo said; exit 1")
    made.task("say", retryPolicy={"maxRetryCount": 1, "backoffDuration": "0s"})
    uid = metadata.uid(runs.run(made.spec(podTTLSecondsAfterFinished=0)))
    eventually(lambda: not runs.pods(), 120, what="the pods' end")
    path = f"{OWN}/runs/{uid}/log"
    for asked in ({"task": "say"}, {"task": "root/say", "attempt": "0"}):
        assert api.call("GET", path, **asked).body == {"text": "said\n"}
    wrong = api.call("GET", path, task="say", attempt="x")
    assert (wrong.status, wrong.body["message"]) == (400, "attempt: 'x' is no whole number from 0")
    assert api.call("GET", path, task="say", attempt="2").status == 404
    assert api.call("GET", path, task="other").status == 404
    assert api.call("GET", f"{OWN}/runs/nobody/log", task="say").status == 404
    stranger = api.call("GET", path, task="say", user="stranger")
    nobody = api.call("GET", f"{OWN}/runs/nobody/log", task="say", user="stranger")
    assert stranger.status == nobody.status == 404
    assert stranger.body["message"].replace(uid, "nobody") == nobody.body["message"]


@pytest.mark.parametrize(("tasks", "counts"), [([], "12"), (["first"], "22")])
def test_a_run_is_taken_up_from_a_step(api, runs, pipeline, tmp_path, tasks, counts):
    made = pipeline()
    made.step("first", f"echo x >> {tmp_path}/first")
    made.step("second", f"echo x >> {tmp_path}/second; test -e {tmp_path}/go")
    made.task("first")
    made.task("second", needs=["first"])
    uid = metadata.uid(runs.run(made.spec()))
    (tmp_path / "go").touch()
    path = f"{OWN}/runs/{uid}:retry"
    assert api.call("POST", path, {"from_tasks": ["third"]}).status == 400
    assert api.call("POST", path, {"from_tasks": tasks}, user="stranger").status == 404
    assert api.call("POST", path, {"from_tasks": tasks}).status == 200

    def ended():
        told = runs.get()["status"]
        return told if told["state"] == kinds.SUCCEEDED else None

    assert eventually(ended, 120)["retries"] == 1
    found = [len((tmp_path / name).read_text().split()) for name in ("first", "second")]
    assert "".join(map(str, found)) == counts


def waiting(pipeline, folder):
    """Return a pipeline whose step says a word, and another one once it may."""
    made = pipeline()
    made.step("say", f"echo one; while [ ! -e {folder}/go ]; do sleep 0.1; done; echo two")
    made.task("say")
    return made.spec()


async def followed(platform, tell, let):
    """Return the lines of a log; after the first, what waits for it is let go on."""
    transport = HttpTransport(platform.connection)
    found = []
    try:
        async for line in tell(transport):
            found.append(line)
            let()
    finally:
        await transport.close()
    return found


@pytest.mark.parametrize("own", [True, False])
def test_a_log_is_followed(api, runs, pipeline, tmp_path, own):
    uid = metadata.uid(runs.start(waiting(pipeline, tmp_path)))
    path = f"{PROXY}/apis/v1alpha1/runs/{uid}/nodes/say/log?follow=true"
    eventually(lambda: api.read(f"{OWN}/runs/{uid}/log/stream?task=say").body == b"one\n", 120)

    def tell(transport):
        if own:
            return Service(transport).follow(uid, "say")
        return lines.texts(transport.stream(path))

    let = (tmp_path / "go").touch
    assert runs.platform.call(followed(runs.platform, tell, let)) == ["one", "two"]
    assert runs.ended()["status"]["state"] == kinds.SUCCEEDED
    again = api.read(path.removeprefix(PROXY))
    assert (again.status, again.body) == (200, b"one\ntwo\n")
    assert again.headers["Content-Type"].startswith("text/plain")
    for wrong in (path.replace("/say/", "/no/"), path.replace(uid, "no")):
        assert api.read(wrong.removeprefix(PROXY)).status == 404
    assert api.read(path.removeprefix(PROXY), user="stranger").status == 404


def test_a_log_of_nothing_is_an_error_before_it_begins(runs, api, pipeline):
    made = pipeline()
    made.step("say", "true")
    made.task("say")
    uid = metadata.uid(runs.run(made.spec()))

    def tell(transport):
        return Service(transport).follow(uid, "other")

    with pytest.raises(errors.NotFoundError, match="has come to no task 'other'"):
        runs.platform.call(followed(runs.platform, tell, print))
    refused = api.read(f"{OWN}/runs/{uid}/log/stream?task=say&attempt=x")
    assert refused.status == 400


def test_the_command_follows_a_run_to_its_end(wherry, runs, pipeline):
    made = pipeline()
    for name in ("first", "second"):
        made.step(name, f"echo {name}; sleep 1; echo end of {name}")
    made.task("first")
    made.task("second", needs=["first"])
    runs.start(made.spec())
    code, said = wherry("logs", "run", "--follow")
    assert code == 0, said
    told = [line for line in said.splitlines() if line.startswith("[")]
    assert told == [
        *("[first] first", "[first] end of first"),
        *("[second] second", "[second] end of second"),
    ]


@pytest.mark.usefixtures("here", "api")
def test_logs_of_a_run_are_read_when_its_pods_are_gone(runs, pipeline):
    made = pipeline()
    made.step("say", "echo said; echo more")
    made.task("say")
    runs.run(made.spec(podTTLSecondsAfterFinished=0))
    eventually(lambda: not runs.pods(), 120, what="the pods' end")
    handle = find_run("run", namespace=runs.namespace)
    assert [*handle.logs()] == ["[say] said", "[say] more"]
    assert [*handle.logs("say")] == ["[say] said", "[say] more"]
    assert [*handle.logs("other")] == []
