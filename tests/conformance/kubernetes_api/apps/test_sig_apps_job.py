"""Jobs, as upstream's sig-apps cases have them."""

from pathlib import Path
from typing import Any

import pytest

from wherry.objects import conditions, kinds, metadata

INDEX = "batch.kubernetes.io/job-completion-index"
SLEEP = "exec sleep 1000000"


def case(name: str) -> pytest.MarkDecorator:
    full = f"Job {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-apps", name=full)


def ends(space: Any, name: str, how: str = "Complete") -> Any:
    """Wait until a Job has a condition; return it."""
    space.until(
        lambda: conditions.is_true(space.get(kinds.JOBS, name), how), what=f"{name} is {how}"
    )
    return space.get(kinds.JOBS, name)


def running(space: Any, name: str, count: int) -> list[str]:
    def up() -> list[str]:
        pods = space.list(kinds.PODS, f"batch.kubernetes.io/job-name={name}")
        found = [one["metadata"]["name"] for one in pods if one["status"].get("phase") == "Running"]
        return found if len(found) == count else []

    return list(space.until(up, what=f"{count} pods of {name} run"))


def owner(space: Any, pod: str) -> str | None:
    reference = metadata.controller_of(space.get(kinds.PODS, pod))
    return reference["name"] if reference else None


@case("should adopt matching orphans and release non-matching pods")
def test_adopt_and_release(space: Any, make: Any) -> None:
    space.create(kinds.JOBS, make.job("keeper", SLEEP, parallelism=2, completions=4))
    pod = running(space, "keeper", 2)[0]

    def orphan(one: Any) -> None:
        one["metadata"]["ownerReferences"] = []

    space.edit(kinds.PODS, pod, orphan)
    space.until(lambda: owner(space, pod) == "keeper", what="the pod is adopted again")

    def strange(one: Any) -> None:
        one["metadata"]["labels"] = {"job-name": "other"}

    space.edit(kinds.PODS, pod, strange)
    space.until(lambda: owner(space, pod) is None, what="the pod is released")


@case(
    "should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition"
)
def test_ignored_disruption(space: Any, make: Any, tmp_path: Path) -> None:
    mark = f"{tmp_path}/$JOB_COMPLETION_INDEX"
    script = f"if [ -e {mark} ]; then exit 0; fi; touch {mark}; {SLEEP}"
    rule = {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    options = {"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimit": 0}
    made = make.job("patient", script, podFailurePolicy={"rules": [rule]}, **options)
    space.create(kinds.JOBS, made)
    space.until(lambda: len(list(tmp_path.iterdir())) == 2, what="both pods have begun")
    for pod in running(space, "patient", 2):
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": space.name},
        }
        space.api.ask("POST", kinds.PODS.path(space.name, pod, "eviction"), body)
    status = ends(space, "patient")["status"]
    assert (status["succeeded"], status.get("failed", 0)) == (2, 0)


@case("should allow to use the pod failure policy on exit code to fail the job early")
def test_fail_early(space: Any, make: Any) -> None:
    codes = {"containerName": "main", "operator": "In", "values": [1]}
    policy = {"rules": [{"action": "FailJob", "onExitCodes": codes}]}
    space.create(kinds.JOBS, make.job("early", "exit 1", backoffLimit=20, podFailurePolicy=policy))
    job = ends(space, "early", "Failed")
    assert job["status"]["failed"] == 1
    failed = next(one for one in job["status"]["conditions"] if one["type"] == "Failed")
    assert failed["reason"] == "PodFailurePolicy"


@case("should apply changes to a job status")
def test_status(space: Any, make: Any) -> None:
    space.create(kinds.JOBS, make.job("reported", SLEEP, parallelism=2, completions=4))
    running(space, "reported", 2)
    told = {"type": "Custom", "status": "True", "reason": "E2E", "message": "Set from a test"}
    patch = {
        "metadata": {"annotations": {"patched": "true"}},
        "status": {"conditions": [told]},
    }
    patched = space.patch(kinds.JOBS, "reported", patch, subresource="status")
    assert patched["metadata"]["annotations"]["patched"] == "true"
    assert conditions.is_true(patched, "Custom")

    def replace(job: Any) -> None:
        job["status"]["conditions"] = [{**told, "type": "Replaced"}]

    updated = space.edit(kinds.JOBS, "reported", replace, "status")
    assert conditions.is_true(updated, "Replaced")

    def counted() -> bool:
        return bool(space.get(kinds.JOBS, "reported", "status")["status"].get("active") == 2)

    space.until(counted, what="both are active")


@case("should create pods for an Indexed job with completion indexes and specified hostname")
def test_indexed(space: Any, make: Any) -> None:
    script = '[ "$HOSTNAME" = "counted-$JOB_COMPLETION_INDEX" ]'
    options = {"completionMode": "Indexed", "completions": 4, "parallelism": 2}
    space.create(kinds.JOBS, make.job("counted", script, **options))
    status = ends(space, "counted")["status"]
    assert status["completedIndexes"] == "0-3"
    pods = space.list(kinds.PODS, "batch.kubernetes.io/job-name=counted")
    found = {one["metadata"]["annotations"][INDEX]: one["spec"]["hostname"] for one in pods}
    assert found == {str(number): f"counted-{number}" for number in range(4)}


@case("should delete a job")
def test_delete(space: Any, make: Any) -> None:
    space.create(kinds.JOBS, make.job("doomed", SLEEP, parallelism=2, completions=4))
    running(space, "doomed", 2)
    space.delete(kinds.JOBS, "doomed", propagationPolicy="Foreground")
    space.until(lambda: space.find(kinds.JOBS, "doomed") is None, what="the job is gone")
    assert space.list(kinds.PODS) == []


@case("should manage the lifecycle of a job")
def test_lifecycle(space: Any, make: Any) -> None:
    made = make.job("alive", parallelism=2, completions=4, suspend=True)
    label = {"test-job": space.name}
    selector = f"test-job={space.name}"
    with space.watching(kinds.JOBS) as seen:
        space.create(kinds.JOBS, made)
        seen.until("ADDED")
        space.patch(kinds.JOBS, "alive", {"metadata": {"labels": label}})
        seen.until("MODIFIED", lambda one: one["metadata"].get("labels", {}).get("test-job"))
        space.until(
            lambda: conditions.is_true(space.get(kinds.JOBS, "alive"), "Suspended"),
            what="the job says that it is suspended",
        )
        assert space.list(kinds.PODS) == []

        def go(one: Any) -> None:
            one["metadata"]["annotations"] = {"updated": "true"}
            one["spec"]["suspend"] = False

        space.edit(kinds.JOBS, "alive", go)
        seen.until("MODIFIED", lambda one: "updated" in str(one["metadata"].get("annotations")))
        seen.until("MODIFIED", lambda one: conditions.is_true(one, "Complete"))
        assert len(space.everywhere(kinds.JOBS, selector)) == 1
        space.delete_collection(kinds.JOBS, selector)
        seen.until("DELETED")
    assert space.everywhere(kinds.JOBS, selector) == []


@case("should run a job to completion when tasks sometimes fail and are locally restarted")
def test_local_restarts(space: Any, make: Any) -> None:
    script = "if [ -e /data/mark ]; then exit 0; fi; touch /data/mark; exit 1"
    made = make.job("stubborn", script, restart="OnFailure", parallelism=2, completions=2)
    pods = made["spec"]["template"]["spec"]
    pods["volumes"] = [{"name": "data", "emptyDir": {}}]
    pods["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    space.create(kinds.JOBS, made)
    status = ends(space, "stubborn")["status"]
    assert status["succeeded"] == 2
    for pod in space.list(kinds.PODS):
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 1
