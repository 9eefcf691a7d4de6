"""Runs that have ended are taken up again: what failed is done once more, and what depends on it."""

import pytest

from wherry.metadata.store import Metadata
from wherry.objects import errors, metadata
from wherry.pipelines import kinds, naming, status
from wherry.pipelines.history.operations import Operations
from wherry.pipelines.history.store import History
from wherry.pipelines.workflows.archive.store import Archive
from wherry.pipelines.workflows.runs import WorkflowRuns
from wherry.testing.waiting import eventually

OUT = "{{$.outputs.parameters['out'].output_file}}"
IN = "{{$.inputs.parameters['in']}}"


@pytest.fixture
def noted(tmp_path):
    """A folder in which steps note that they have run."""
    folder = tmp_path / "noted"
    folder.mkdir()

    def read() -> dict[str, int]:
        return {path.name: len(path.read_text().split()) for path in folder.iterdir()}

    return folder, read


@pytest.fixture
def acting(runs):
    """Have something done to runs of the platform, with its own database."""

    def act(work):
        async def acted():
            where = runs.platform.directory / "products" / "metadata" / "metadata.db"
            history, tasks = History(where), Metadata(where)
            archive = Archive(where)
            workflows = WorkflowRuns(runs.client, archive)
            try:
                return await work(Operations(runs.client, history, tasks, workflows), history)
            finally:
                await archive.close()
                await history.close()
                await tasks.close()

        return runs.platform.call(acted())

    return act


def chain(pipeline, folder, *, cache=False):
    """Return a pipeline: a, beside it d; b after a, which fails unless there is a file; c after b; e at the end."""
    made = pipeline()
    script = f"echo x >> {folder}/$KIND; echo $(({IN} + 1)) > {OUT}"
    broken = f"echo x >> {folder}/$KIND; test -e {folder}/go; echo $(({IN} + 1)) > {OUT}"
    for kind in "abcd":
        made.step(
            kind,
            broken if kind == "b" else script,
            inputs={"in": "NUMBER_INTEGER"},
            outputs={"out": "NUMBER_INTEGER"},
            env=[{"name": "KIND", "value": kind}],
        )
    made.step("e", f"echo x >> {folder}/e")
    made.task("a", parameters={"in": 1}, cache=cache)
    made.task("d", parameters={"in": 1}, cache=cache)
    made.task("b", parameters={"in": ("a", "out")}, cache=cache)
    made.task("c", parameters={"in": ("b", "out")}, cache=cache)
    made.task("e", needs=["c"], triggerPolicy={"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"})
    made.output("out", "c", "out", "NUMBER_INTEGER")
    return made


def again(runs, name="run", number=1):
    """Return the run once it has ended after it was taken up."""
    return eventually(
        lambda: (
            run
            if (run := runs.get(name)).get("status", {}).get("retries") == number
            and status.is_finished(run)
            else None
        ),
        120,
        what="the end of the retry",
    )


def test_what_failed_is_done_again_and_what_depends_on_it(runs, pipeline, noted, acting):
    folder, read = noted
    run = runs.run(chain(pipeline, folder).spec())
    assert run["status"]["state"] == kinds.FAILED
    assert read() == {"a": 1, "b": 1, "d": 1, "e": 1}
    (folder / "go").write_text("")
    told = acting(lambda operations, _: operations.retry(metadata.uid(run)))
    assert told.state == kinds.RUNNING
    ended = again(runs)
    assert ended["status"]["state"] == kinds.SUCCEEDED, ended["status"]
    assert ended["status"]["outputs"] == {"out": 4}
    assert read() == {"a": 1, "b": 2, "c": 1, "d": 1, "e": 2, "go": 0}
    rows = runs.rows(run)
    assert {path: row.attempt for path, row in rows.items() if row.pod} == {
        "root/a": 0, "root/b": 1, "root/c": 0, "root/d": 0, "root/e": 1,
    }  # fmt: skip
    assert {row.state for row in rows.values()} == {"SUCCEEDED"}
    assert [each["type"] for each in ended["status"]["conditions"]] == ["Running", "Succeeded"]


def test_a_chosen_step_and_what_depends_on_it_are_done_again(runs, pipeline, noted, acting):
    folder, read = noted
    (folder / "go").write_text("")
    run = runs.run(chain(pipeline, folder, cache=True).spec())
    uid = metadata.uid(run)
    with pytest.raises(errors.BadRequestError, match="name the tasks that are to be done again"):
        acting(lambda operations, _: operations.retry(uid))
    with pytest.raises(errors.BadRequestError, match="'nothing' is no task"):
        acting(lambda operations, _: operations.retry(uid, ["nothing"]))
    acting(lambda operations, _: operations.retry(uid, ["b"]))
    ended = again(runs)
    assert ended["status"]["state"] == kinds.SUCCEEDED, ended["status"]
    assert read() == {"a": 1, "b": 2, "c": 2, "d": 1, "e": 2, "go": 0}
    acting(lambda operations, _: operations.retry(uid, ["root"]))
    ended = again(runs, number=2)
    assert ended["status"]["outputs"] == {"out": 4}
    assert read() == {"a": 2, "b": 3, "c": 3, "d": 2, "e": 3, "go": 0}


def test_turns_of_a_loop_that_succeeded_stay(runs, pipeline, noted, acting):
    folder, read = noted
    made = pipeline()
    made.step(
        "turn",
        f"echo x >> {folder}/{IN}; [ {IN} != 2 ] || test -e {folder}/go; echo {IN} > {OUT}",
        inputs={"in": "NUMBER_INTEGER"},
        outputs={"out": "NUMBER_INTEGER"},
    )
    made.task(
        "turn",
        parameters={"in": 0},
        parameterIterator={"items": {"raw": "[1, 2, 3]"}, "itemInput": "in"},
        iteratorPolicy={"parallelismLimit": 1},
    )
    run = runs.run(made.spec())
    assert run["status"]["state"] == kinds.FAILED
    (folder / "go").write_text("")
    acting(lambda operations, _: operations.retry(metadata.uid(run)))
    assert again(runs)["status"]["state"] == kinds.SUCCEEDED
    assert read() == {"1": 1, "2": 2, "3": 1, "go": 0}


def test_a_run_that_was_ended_is_taken_up(runs, pipeline, noted, acting):
    folder, read = noted
    made = pipeline()
    made.step("wait", f"echo x >> {folder}/wait; until [ -e {folder}/go ]; do sleep 0.1; done")
    made.task("wait")
    uid = metadata.uid(runs.start(made.spec()))
    eventually(lambda: read().get("wait"), 120, what="the step's beginning")
    with pytest.raises(errors.BadRequestError, match="can be taken up again once it has ended"):
        acting(lambda operations, _: operations.retry(uid))
    told = acting(lambda operations, _: operations.terminate(uid))
    assert told.state == kinds.CANCELING
    assert runs.ended()["status"]["state"] == kinds.CANCELED
    with pytest.raises(errors.BadRequestError, match="has ended: it is CANCELED"):
        acting(lambda operations, _: operations.terminate(uid))
    (folder / "go").write_text("")
    acting(lambda operations, _: operations.retry(uid))
    assert again(runs)["status"]["state"] == kinds.SUCCEEDED
    assert read() == {"wait": 2, "go": 0}


def test_a_run_whose_object_is_gone_is_made_anew(runs, pipeline, noted, acting):
    folder, read = noted
    run = runs.run(chain(pipeline, folder).spec(displayName="mine"))
    uid = metadata.uid(run)
    runs.platform.call(runs.client.delete(kinds.PIPELINE_RUNS, "run", runs.namespace))

    def gone():
        try:
            runs.get()
        except errors.NotFoundError:
            return acting(lambda _, history: history.run(uid)).gone
        return False

    eventually(gone, 120, what="the object's end")
    (folder / "go").write_text("")
    acting(lambda operations, _: operations.retry(uid))
    ended = again(runs)
    assert ended["status"]["outputs"] == {"out": 4}
    assert naming.run_id(ended) == uid != metadata.uid(ended)
    assert read() == {"a": 1, "b": 2, "c": 1, "d": 1, "e": 2, "go": 0}

    def recorded():
        found = acting(lambda _, history: history.run(uid))
        return found if found.state == kinds.SUCCEEDED else None

    found = eventually(recorded, 120, what="the history's row")
    assert (found.display_name, found.gone, found.retries) == ("mine", False, 1)
    assert [each.state for each in found.states][-2:] == [kinds.RUNNING, kinds.SUCCEEDED]


def test_what_can_be_no_runs_id_is_refused_and_can_be_deleted(runs, pipeline, noted):
    body = {
        "metadata": {
            "name": "thief",
            "namespace": runs.namespace,
            "annotations": {kinds.RUN_ID_ANNOTATION: "x" * 1000},
        },
        "spec": chain(pipeline, noted[0]).spec(),
    }
    runs.platform.call(runs.client.create(kinds.PIPELINE_RUNS, body))
    assert "is no run of this namespace" in runs.ended("thief")["status"]["message"]
    runs.platform.call(runs.client.delete(kinds.PIPELINE_RUNS, "thief", runs.namespace))

    def gone():
        try:
            runs.get("thief")
        except errors.NotFoundError:
            return True
        return False

    eventually(gone, 120, what="the object's end")


def test_nobody_goes_on_with_a_run_that_is_not_gone(runs, pipeline, noted):
    folder, read = noted
    spec = chain(pipeline, folder).spec()
    run = runs.run(spec)
    rows = runs.rows(run)
    thief = {
        "metadata": {
            "name": "thief",
            "namespace": runs.namespace,
            "annotations": {kinds.RUN_ID_ANNOTATION: metadata.uid(run)},
        },
        "spec": {**spec, "retry": {"number": 1}},
    }
    runs.platform.call(runs.client.create(kinds.PIPELINE_RUNS, thief))
    ended = runs.ended("thief")
    assert ended["status"]["state"] == kinds.FAILED
    assert "is no run of this namespace whose object is gone" in ended["status"]["message"]
    runs.platform.call(runs.client.delete(kinds.PIPELINE_RUNS, "thief", runs.namespace))
    assert runs.rows(run) == rows
    assert read() == {"a": 1, "b": 1, "d": 1, "e": 1}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"retry": {"number": 2}}, "it was taken up 0 times; want 1"),
        ({"retry": {"number": 0}}, "number"),
        ({"retry": {"number": 1, "fromTasks": ["a"] * 101}}, "at most 100"),
        ({"retry": {"number": 1}, "terminate": True}, "set it to false"),
    ],
)
def test_a_wrong_retry_is_refused(runs, pipeline, change, told):
    made = pipeline()
    made.step("fail", "exit 3")
    made.task("fail")
    runs.run(made.spec())
    with pytest.raises(errors.InvalidError, match=told):
        runs.patch(change)


def test_a_run_that_goes_on_is_not_taken_up(runs, pipeline):
    made = pipeline()
    made.step("ok", "true")
    made.task("ok")
    runs.start(made.spec(suspend=True))
    with pytest.raises(errors.InvalidError, match="once it has ended"):
        runs.patch({"retry": {"number": 1}})
