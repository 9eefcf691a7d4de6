"""Artifacts in an S3 server and in a claim: brought to steps and away from them, or it is said why not."""

import pytest

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.pipelines import kinds
from wherry.testing.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_artifacts_go_through_a_store(runs, two_steps, s3):
    runs.keep_in(s3)
    run = runs.run(two_steps.spec())
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    outputs = run["status"]["outputs"]
    assert outputs["kept"] == "kept\n"
    place = s3.keeps / outputs["uri"].strip().removeprefix("s3://")
    assert (place / "file").read_text() == "kept\n"


def test_a_failed_upload_fails_the_step(runs, two_steps, s3):
    runs.keep_in(s3, secret="wrong")
    run = runs.run(two_steps.spec())
    assert run["status"]["state"] == kinds.FAILED
    assert "outputs could not be stored: s3://bucket/root" in run["status"]["message"]


def test_files_that_are_not_the_steps_are_not_uploaded(runs, pipeline, s3):
    runs.keep_in(s3)
    made = pipeline()
    path = "{{$.outputs.artifacts['data'].path}}"
    made.step("curious", f"mkdir -p {path}; ln -s /proc/self/environ {path}/x", makes=["data"])
    made.task("curious")
    run = runs.run(made.spec())
    assert run["status"]["state"] == kinds.FAILED
    assert "which is not among the outputs" in run["status"]["message"]


def test_artifacts_go_through_a_claim(runs, two_steps):
    claim = {
        "metadata": {"name": "shared", "namespace": runs.namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    runs.platform.call(runs.client.create(core.PERSISTENT_VOLUME_CLAIMS, claim))
    spec = two_steps.spec(enableCache=True, runtimeConfig={"pipelineRoot": "pvc://shared/root"})
    run = runs.run(spec)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    assert run["status"]["outputs"]["kept"] == "kept\n"
    made = runs.rows(run)["root/make"].outputs.artifacts["data"][0]
    assert made.uri.startswith("pvc://shared/root/")
    again = runs.run(spec, "again")
    assert again["status"]["tasks"] == {"total": 2, "cached": 2}


def test_a_step_that_is_ended_does_not_wait_for_its_upload(runs, pipeline, s3):
    runs.keep_in(s3)
    made = pipeline()
    made.step("long", "sleep 600", makes=["data"])
    made.task("long")
    runs.start(made.spec())

    def begun():
        return [pod for pod in runs.pods() if pod.get("status", {}).get("phase") == "Running"]

    eventually(begun, 120)
    runs.patch({"terminate": True})
    assert runs.ended()["status"]["state"] == kinds.CANCELED
    assert {metadata.name(pod) for pod in runs.pods()} == set()
