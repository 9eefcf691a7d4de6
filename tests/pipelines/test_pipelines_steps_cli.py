"""`wherry pipelines logs` and `retry`: what steps have said stays, and failed runs are taken up."""

from wherry.objects import metadata
from wherry.pipelines import kinds
from wherry.testing.waiting import eventually


def test_a_run_is_taken_up_and_its_steps_logs_stay(wherry, runs, pipeline, tmp_path):
    made = pipeline()
    made.step("talk", f"printf hello; touch {tmp_path}/$RANDOM; test -e {tmp_path}/go")
    made.step("quiet", "true")
    made.task("talk")
    made.task("quiet")
    run = runs.run(made.spec(podTTLSecondsAfterFinished=0))
    eventually(lambda: not runs.pods(), 120, what="the pods' end")
    code, told = wherry("logs", "run", "talk")
    assert (code, told) == (0, "==> root/talk <==\nhello\n")
    code, told = wherry("logs", "run")
    assert code == 0
    assert "==> root/quiet <==\ntask root/quiet, attempt 0: it has said nothing" in told
    code, told = wherry("logs", "run", "other")
    assert code != 0
    assert "no task other of run run has begun" in told

    code, told = wherry("retry", "run", "--from", "nothing")
    assert code != 0
    assert "'nothing' is no task" in told
    (tmp_path / "go").touch()
    assert wherry("retry", "run") == (0, "run run goes on\n")
    eventually(lambda: runs.get()["status"]["state"] == kinds.SUCCEEDED, 120)
    assert wherry("logs", "run", "talk")[1] == "==> root/talk, attempt 1 <==\nhello\n"
    assert wherry("logs", "run", "talk", "--attempt", "0")[1] == "==> root/talk <==\nhello\n"
    code, told = wherry("retry", "run")
    assert code != 0
    assert "has succeeded: name the tasks that are to be done again" in told
    assert metadata.uid(runs.get()) == metadata.uid(run)
