"""The SDK of training-operator, unchanged: its TrainingClient makes, follows and ends jobs."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_a_users_day(training_programs):
    told = training_programs.run("kubeflow_training", seconds=120)
    assert told["succeeded"] is True
    assert told["kind"] == "PyTorchJob"
    assert told["states"][-1] == "Succeeded"
    assert told["pods"] == ["plain-master-0", "plain-worker-0"]
    assert told["masters"] == ["plain-master-0"]
    assert told["workers"] == ["plain-worker-0"]
    assert {name: text.strip() for name, text in told["logs"].items()} == {
        "plain-master-0": "rank 0 of 2",
        "plain-worker-0": "rank 1 of 2",
    }
    assert "rank 0 of 2" in str(told["followed"])
    assert len(told["function"]) == 2
    for index, name in enumerate(sorted(told["function"])):
        assert f'"index": {index}' in told["function"][name]
        assert "0.5" in told["function"][name]
    assert told["created"]
    assert told["running"]
    assert "step 3" in str(told["live"])
    assert "SuccessfulCreatePod" in str(told["events"]) or "Created pod" in str(told["events"])
    assert told["failed"]
    assert "raised" in told
    assert told["conditions"][-1] == "Failed"
    assert told["updated"] == 7
    assert told["jobs"] == ["changed", "plain"]
    assert "deleted" in told
