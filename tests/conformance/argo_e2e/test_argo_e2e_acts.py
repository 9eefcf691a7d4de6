"""Argo's end-to-end tests that do more than submit one workflow and look at its end."""

from typing import Final

import pytest

from wherry.objects import kinds, metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds as argo_kinds
from wherry.testing.argo_e2e import CHECKOUT, NAMESPACE, SECONDS, Argo, Check, Run, Seen
from wherry.testing.waiting import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHECKOUT, reason="WHERRY_ARGO names no checkout"),
]

_BAD: Final = ("Failed", "Error")


def _case(group: str, name: str) -> pytest.MarkDecorator:
    return pytest.mark.conformance("argo-e2e", group=group, name=name)


def _is_done(pod: Object) -> bool:
    return (pod["metadata"].get("labels") or {}).get(argo_kinds.COMPLETED_LABEL) == "true"


def _phases_of(*shown: str, phase: str) -> Check:
    def check(seen: Seen) -> bool:
        found = [seen.find(each) for each in shown]
        return all(each is not None and each["phase"] == phase for each in found)

    return check


def _main(pod: Object) -> Object:
    found: Object = next(each for each in pod["spec"]["containers"] if each["name"] == "main")
    return found


# functional_test.go


@_case("functional", "TestDeletingPendingPod")
def test_a_pending_pod_is_made_again(argo: Argo) -> None:
    run = argo.submit()
    pod = run.some_pod(lambda each: True)
    patch = argo.client.patch(
        kinds.PODS, metadata.name(pod), {"metadata": {"finalizers": []}}, NAMESPACE
    )
    argo.call(patch)
    argo.delete(kinds.PODS, metadata.name(pod))
    made = run.some_pod(lambda each: metadata.uid(each) != metadata.uid(pod))
    assert made["status"]["phase"] == "Pending"


@_case("functional", "TestJSONVariables")
def test_arguments_of_json_variables(argo: Argo) -> None:
    run = argo.submit()
    node = run.ends().pod_node()
    assert _main(run.pod(node))["args"] == ["myLabelValue", "myAnnotationValue", "myParamValue"]


@_case("functional", "TestWorkflowTTL")
def test_a_workflow_that_is_not_to_stay(argo: Argo) -> None:
    run = argo.submit()
    eventually(lambda: not argo.exists(argo_kinds.WORKFLOWS, run.name), SECONDS)


@_case("functional", "TestResourceQuota")
def test_a_quota_of_pods(argo: Argo) -> None:
    there = len(argo.list(kinds.PODS))
    argo.quota("pods-quota", {"pods": str(there + 2)})
    argo.submit().ends("Succeeded")


@_case("functional", "TestVolumeClaimTemplate")
def test_claims_go_with_the_end(argo: Argo) -> None:
    argo.submit().ends()
    eventually(lambda: not argo.list(kinds.PERSISTENT_VOLUME_CLAIMS), SECONDS)


def _events(argo: Argo, run: Run, number: int) -> list[Object]:
    uid = metadata.uid(run.seen().body)

    def found() -> list[Object]:
        every = argo.list(kinds.EVENTS)
        own = [each for each in every if each["involvedObject"].get("uid") == uid]
        return own if len(own) >= number else []

    return eventually(found, SECONDS, what=f"{number} events")


def _told_of_node(argo: Argo, run: Run, ended: str, prefix: str) -> dict[str, Object]:
    found = {each["reason"]: each for each in _events(argo, run, 4)}
    wanted = {"WorkflowNodeRunning", "WorkflowRunning", f"WorkflowNode{ended}", f"Workflow{ended}"}
    assert set(found) == wanted
    assert f"Running node {prefix}" in found["WorkflowNodeRunning"]["message"]
    node = found[f"WorkflowNode{ended}"]
    assert f"{ended} node {prefix}" in node["message"]
    notes = node["metadata"]["annotations"]
    assert notes["workflows.argoproj.io/node-type"] == "Pod"
    assert prefix in notes["workflows.argoproj.io/node-name"]
    return found


@_case("functional", "TestEventOnNodeFail")
def test_events_of_a_failure(argo: Argo) -> None:
    run = argo.submit()
    run.ends("Failed")
    found = _told_of_node(argo, run, "Failed", "failed-step-event-")
    assert "exit code 1" in found["WorkflowFailed"]["message"]


@_case("functional", "TestEventOnWorkflowSuccess")
def test_events_of_success(argo: Argo) -> None:
    run = argo.submit()
    run.ends("Succeeded")
    found = _told_of_node(argo, run, "Succeeded", "success-event-")
    assert found["WorkflowSucceeded"]["message"] == "Workflow completed"


@_case("functional", "TestEventOnPVCFail")
def test_events_of_a_claim_that_cannot_be_made(argo: Argo) -> None:
    run = argo.submit()
    run.ends()
    first, last = _events(argo, run, 2)
    assert (first["reason"], last["reason"]) == ("WorkflowRunning", "WorkflowFailed")
    assert "pvc create error" in last["message"]


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("", marks=_case("functional", "TestPendingRetryWorkflow")),
        pytest.param("(0)", marks=_case("functional", "TestPendingRetryWorkflowWithRetryStrategy")),
    ],
)
def test_pods_wait_for_a_quota(argo: Argo, attempt: str) -> None:
    # Upstream's quota is below what its own container beside each step needs besides; there is none here.
    argo.quota("memory-quota", {"limits.memory": "100M"})
    run = argo.submit()
    both = (f"a{attempt}", f"b{attempt}")
    run.until(_phases_of(*both, phase="Pending"))
    argo.delete(kinds.RESOURCE_QUOTAS, "memory-quota")
    run.until(_phases_of(*both, phase="Succeeded"))


@_case("functional", "TestTemplateLevelTimeoutWithForbidden")
def test_a_timeout_of_pods_that_are_refused(argo: Argo) -> None:
    argo.quota("memory-quota", {"limits.memory": "130M"})
    argo.submit().ends("Failed")


@_case("functional", "TestParametrizableAds")
def test_a_deadline_that_is_a_parameter(argo: Argo) -> None:
    run = argo.submit()
    node = run.ends("Failed").pod_node("Failed")
    assert run.pod(node)["spec"]["activeDeadlineSeconds"] == 5


@_case("functional", "TestWorkflowPodSpecPatch")
def test_a_patch_of_the_pod(argo: Argo) -> None:
    # The patch names the container that upstream puts beside the main one; there is none here.
    argo.filled("main")
    run = argo.submit()
    pod = run.pod(run.ends().pod_node())
    assert pod["spec"]["terminationGracePeriodSeconds"] == 5
    assert _main(pod)["resources"]["limits"]["cpu"] in ("100m", "101m")


@_case("functional", "TestTerminateWorkflowWhileOnExitHandlerRunning")
def test_an_exit_handler_is_terminated(argo: Argo) -> None:
    run = argo.submit()
    run.until(_phases_of("workflow-exit-handler-sleep", phase="Succeeded"))
    run.shut_down("Terminate")
    seen = run.ends("Failed")
    groups = [each["phase"] for each in seen.nodes if each["type"] in ("Steps", "StepGroup")]
    assert set(groups) <= {"Failed"}, seen.told


# daemon_pod_test.go


@pytest.mark.parametrize(
    ("name", "cluster"),
    [
        pytest.param("daemon", False, marks=_case("daemon_pod", "TestDaemonFromWorkflowTemplate")),
        pytest.param(
            "daemon", True, marks=_case("daemon_pod", "TestDaemonFromClusterWorkflowTemplate")
        ),
        pytest.param("broken-pipeline", False, marks=_case("daemon_pod", "TestDaemonTemplateRef")),
    ],
)
def test_daemons_of_templates(argo: Argo, name: str, cluster: bool) -> None:
    argo.templates()
    argo.submit_template(name, cluster=cluster).ends("Succeeded")


# retry_test.go


@_case("retry", "TestWorkflowTemplateWithRetryStrategyInContainerSet")
@pytest.mark.xfail(
    reason="they are tried retries + 1 times, as upstream's reference says, and not as it does"
)
def test_containers_of_a_set_are_tried_again(argo: Argo) -> None:
    argo.templates()
    run = argo.submit()
    run.ends("Failed")
    assert "hi" in run.logs("c1")
    # Upstream's words are those of Go; what is said here comes from the shell.
    assert "not found" in run.logs("c2")
    assert run.logs("c3").count("intentional failure") == 2


# signals_test.go


@_case("signals", "TestStopBehaviorWithDaemon")
def test_a_daemon_ends_well_when_all_is_stopped(argo: Argo) -> None:
    run = argo.submit()
    run.has_pod()
    run.shut_down("Stop")
    seen = run.ends()
    assert seen.phase in _BAD
    assert seen.phases("Daemon") == ["Succeeded"]


@_case("signals", "TestTerminateBehavior")
def test_what_is_terminated_has_no_exit_handler(argo: Argo) -> None:
    run = argo.submit()
    run.has_pod()
    run.shut_down("Terminate")
    seen = run.ends()
    assert seen.phase in _BAD
    assert seen.node("A")["phase"] in _BAD
    assert seen.find("A.onExit") is seen.find(f"{seen.name}.onExit") is None


@_case("signals", "TestDoNotCreatePodsUnderStopBehavior")
def test_nothing_begins_after_a_stop(argo: Argo) -> None:
    run = argo.submit()
    run.has_pod()
    run.shut_down("Stop")
    seen = run.ends("Failed")
    assert seen.phases("A") == ["Failed"]
    assert seen.find("B") is None


# semaphore_test.go, db_semaphore_test.go


def _waits_for_mutex(seen: Seen) -> bool:
    return bool((seen.status.get("synchronization") or {}).get("mutex"))


def _node_waits(seen: Seen) -> bool:
    return any("Waiting for" in each.get("message", "") for each in seen.nodes)


def _limit(argo: Argo, group: str, key: str, limit: int) -> None:
    """Set a limit as upstream's test does: in a ConfigMap, or in the database."""
    if group == "semaphore":
        argo.config_map("my-config", **{key: str(limit)})
    else:
        argo.database_limit(key, limit)


def _in_both(name: str) -> pytest.MarkDecorator:
    groups = [
        pytest.param(each, marks=_case(each, name), id=each)
        for each in ("semaphore", "db_semaphore")
    ]
    return pytest.mark.parametrize("group", groups)


@_in_both("TestSynchronizationWfLevelMutex")
def test_a_mutex_of_workflows(argo: Argo, group: str) -> None:
    argo.submit(0)
    run = argo.submit(1)
    run.until(_waits_for_mutex)
    run.ends("Succeeded")


@_in_both("TestTemplateLevelMutex")
def test_a_mutex_of_templates(argo: Argo, group: str) -> None:
    run = argo.submit()
    run.until(_waits_for_mutex)
    run.ends("Succeeded")


@_in_both("TestWorkflowLevelSemaphore")
def test_a_semaphore_of_workflows(argo: Argo, group: str) -> None:
    _limit(argo, group, "workflow", 1)
    argo.submit().ends("Succeeded")


@_in_both("TestTemplateLevelSemaphore")
def test_a_semaphore_of_templates(argo: Argo, group: str) -> None:
    _limit(argo, group, "template", 1)
    run = argo.submit()
    run.until(_node_waits)
    run.ends()


@_in_both("TestSynchronizationTmplLevelMutexAndSemaphore")
def test_a_mutex_and_a_semaphore(argo: Argo, group: str) -> None:
    _limit(argo, group, "workflow", 1)
    argo.submit().ends("Succeeded")


@_in_both("TestSynchronizationMultiple")
def test_several_locks_at_once(argo: Argo, group: str) -> None:
    _limit(argo, group, "workflow", 2)
    argo.submit().ends("Succeeded")


# pod_cleanup_test.go

_DELETED, _KEPT = "deleted", "kept"


def _has_no_pods(run: Run) -> None:
    eventually(lambda: not run.pods(), SECONDS, what=f"no pod of {run.name}")


@pytest.mark.parametrize(
    "fates",
    [
        pytest.param(fates, marks=_case("pod_cleanup", name), id=name)
        for name, fates in {
            "TestNone": (_KEPT,),
            "TestOnPodCompletion": (_DELETED, _DELETED),
            "TestOnPodCompletionLabelSelected": (_DELETED, _KEPT),
            "TestOnPodSuccess": (_KEPT, _DELETED),
            "TestOnPodSuccessLabelNotMatch": (_KEPT,),
            "TestOnPodSuccessLabelMatch": (_KEPT, _DELETED),
            "TestOnWorkflowCompletion": (_DELETED,),
            "TestOnWorkflowCompletionLabelNotMatch": (_KEPT,),
            "TestOnWorkflowCompletionLabelMatch": (_DELETED,),
            "TestOnWorkflowSuccess": (_DELETED,),
            "TestOnWorkflowSuccessLabelNotMatch": (_KEPT,),
            "TestOnWorkflowSuccessLabelMatch": (_DELETED,),
        }.items()
    ],
)
def test_pods_are_cleared_away_as_said(argo: Argo, fates: tuple[str, ...]) -> None:
    runs = [(argo.submit(number), fate) for number, fate in enumerate(fates)]
    for run, fate in runs:
        run.ends()
        if fate == _DELETED:
            _has_no_pods(run)
        else:
            run.some_pod(_is_done)


@_case("pod_cleanup", "TestOnWorkflowTemplate")
def test_pods_are_cleared_away_as_a_template_says(argo: Argo) -> None:
    argo.templates()
    run = argo.submit_template("test-pod-cleanup")
    run.ends()
    _has_no_pods(run)


# pod_restart_test.go


@_case("pod_restart", "TestEvictedPodRestarts")
@pytest.mark.xfail(reason="it is tried again only as its retryStrategy says")
def test_a_pod_that_is_evicted_before_it_starts_is_made_again(argo: Argo) -> None:
    run = argo.submit()
    pod = run.some_pod(lambda each: each["status"].get("phase") in ("Pending", "Running"))
    waiting = {"waiting": {"reason": "PodInitializing"}}
    evicted = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node had condition: [DiskPressure]",
        "containerStatuses": [
            {
                "name": "main",
                "image": "alpine:latest",
                "state": waiting,
                "ready": False,
                "restartCount": 0,
            }
        ],
    }
    name = metadata.name(pod)
    change = argo.client.patch(
        kinds.PODS, name, {"status": evicted}, NAMESPACE, subresource="status"
    )
    argo.call(change)
    node = run.ends("Succeeded").pod_node()
    assert node["failedPodRestarts"] == 1
    ended = run.pod(node)["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 0


# ns_parallelism_test.go


@_case("ns_parallelism", "TestNamespaceParallelism")
def test_a_namespace_bounds_its_workflows(argo: Argo) -> None:
    def bound(limit: str | None) -> None:
        labels = {"metadata": {"labels": {argo_kinds.PARALLELISM_LABEL: limit}}}
        argo.call(argo.client.patch(kinds.NAMESPACES, NAMESPACE, labels))

    bound("1")
    try:
        argo.submit(0).until(lambda seen: seen.status.get("startedAt"))
        seen = argo.submit(1).becomes("Pending")
    finally:
        bound(None)
    assert seen.message == (
        "Workflow processing has been postponed because too many workflows are already running"
    )


# progress_test.go


@_case("progress", "TestLoggedProgress")
def test_progress_that_a_step_tells(argo: Argo) -> None:
    run = argo.submit()

    def has(wanted: str) -> Check:
        return lambda seen: (
            seen.node("progress").get("progress") == seen.named(seen.name).get("progress") == wanted
            if seen.find("progress")
            else False
        )

    run.until(has("0/100"))
    run.until(has("50/100"))
    seen = run.ends()
    assert seen.named(seen.name)["progress"] == "100/100"


# estimated_duration_test.go


@_case("estimated_duration", "TestWorkflowTemplate")
def test_how_long_it_may_take(argo: Argo) -> None:
    argo.templates()
    name = metadata.name(argo.given[0].body)
    argo.submit_template(name).ends()
    seen = argo.submit_template(name).ends("Succeeded")
    assert seen.status["estimatedDuration"]
    assert seen.named(seen.name)["estimatedDuration"]


# workflow_test.go


@_case("workflow", "TestWorkflowInlinePodName")
def test_the_pod_of_an_inline_template(argo: Argo) -> None:
    run = argo.submit()
    run.ends("Succeeded")
    assert all("--" not in metadata.name(each) for each in run.pods())


@_case("workflow", "TestWorkflowPodResources")
def test_resources_of_pods(argo: Argo) -> None:
    run = argo.submit()
    pod = run.pod(run.ends("Succeeded").pod_node())
    assert pod["spec"]["resources"] == {
        "requests": {"cpu": "100m", "memory": "64Mi"},
        "limits": {"cpu": "1", "memory": "256Mi"},
    }
