"""What is done next, and what the status says, for tables of pods and processes."""

import datetime
from typing import Any

import pytest

from wherry.kubelet import plan, specs, status
from wherry.kubelet.launcher.types import ProcessState
from wherry.kubelet.views import ContainerView, Waiting
from wherry.objects.requests import Object

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def process(code: int | None = None, **more: Any) -> ProcessState:
    finished = None if code is None else 20.0
    fields = {"id": "u_c_0", "pid": 7, "started_at": 10.0, "finished_at": finished}
    return ProcessState(**{**fields, "exit_code": code, **more})


def view(name: str, code: int | str | None = None, **more: Any) -> ContainerView:
    """A container: not started (None), running ("run") or ended with a code."""
    if code is not None and "process" not in more:
        more["process"] = process(None if code == "run" else int(code))
    more.setdefault("attempt", 0 if more.get("process") else -1)
    spec = {"name": name, "image": "python"}
    if more.pop("sidecar", False):
        spec["restartPolicy"] = "Always"
        more["init"] = True
    return ContainerView(spec=spec, **more)


def pod(policy: str = "Always", **more: Any) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"restartPolicy": policy, "containers": [], "initContainers": [], **more},
        "status": {},
    }


@pytest.mark.parametrize(
    ("policy", "views", "start", "outcome"),
    [
        ("Always", [view("a"), view("b")], ("a", "b"), ""),
        ("Always", [view("a", "run"), view("b")], ("b",), ""),
        ("Always", [view("a", 0)], ("a",), ""),
        ("OnFailure", [view("a", 0)], (), "Succeeded"),
        ("OnFailure", [view("a", 1)], ("a",), ""),
        ("OnFailure", [view("a", 0), view("b", "run")], (), ""),
        ("Never", [view("a", 1), view("b", 0)], (), "Failed"),
        ("Never", [view("a", 0), view("b", 0)], (), "Succeeded"),
        ("Never", [view("i", init=True), view("a")], ("i",), ""),
        ("Never", [view("i", 0, init=True), view("j", init=True), view("a")], ("j",), ""),
        ("Never", [view("i", 1, init=True), view("a")], (), "Failed"),
        ("Always", [view("i", 1, init=True), view("a")], ("i",), ""),
        ("Always", [view("i", 0, init=True), view("a")], ("a",), ""),
        ("Always", [view("s", sidecar=True), view("i", init=True), view("a")], ("s",), ""),
        (
            "Always",
            [view("s", "run", sidecar=True, started=False), view("i", init=True), view("a")],
            (),
            "",
        ),
        (
            "Always",
            [view("s", "run", sidecar=True, started=True), view("i", init=True), view("a")],
            ("i",),
            "",
        ),
        ("Never", [view("s", 1, sidecar=True), view("a", "run")], ("s",), ""),
        ("Never", [view("s", "run", sidecar=True), view("a", 0)], (), "Succeeded"),
        ("Never", [view("i", 1, init=True), view("a", "run")], (), ""),
    ],
)
def test_next_step(
    policy: str, views: list[ContainerView], start: tuple[str, ...], outcome: str
) -> None:
    decided = plan.decide(pod(policy), views, 100.0)
    assert (decided.start, decided.outcome) == (start, outcome)


def test_back_off_delays_a_restart() -> None:
    decided = plan.decide(
        pod(), [view("a", 1, restart_at=130.0), view("b", 1, restart_at=120.0)], 100.0
    )
    assert decided.start == ()
    assert decided.backing_off == ("a", "b")
    assert decided.wake_at == 120.0
    assert plan.decide(pod(), [view("a", 1, restart_at=100.0)], 100.0).start == ("a",)


def facts(**more: Any) -> status.Facts:
    base: dict[str, Any] = {"pod_ip": "127.32.0.1", "host_ip": "10.0.0.1", "initialized": True}
    return status.Facts(**{**base, "now": NOW, **more})


def ready(conditions: list[Object]) -> dict[str, str]:
    return {item["type"]: item["status"] for item in conditions}


def test_a_running_pod() -> None:
    found = status.compute(pod(), [view("a", "run", started=True, ready=True)], facts())
    assert found["phase"] == "Running"
    assert ready(found["conditions"]) == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "ContainersReady": "True",
        "Ready": "True",
    }
    entry = found["containerStatuses"][0]
    assert entry["state"] == {"running": {"startedAt": "1970-01-01T00:00:10Z"}}
    assert (entry["ready"], entry["started"], entry["restartCount"]) == (True, True, 0)
    assert entry["containerID"] == "wherry://u_c_0"
    assert (found["podIP"], found["hostIP"]) == ("127.32.0.1", "10.0.0.1")
    assert found["startTime"] == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("container", "state", "last", "phase"),
    [
        (view("a"), {"waiting": {"reason": "ContainerCreating"}}, None, "Pending"),
        (
            view("a", waiting=Waiting("ErrImagePull", "no")),
            {"waiting": {"reason": "ErrImagePull", "message": "no"}},
            None,
            "Pending",
        ),
        (
            view("a", 1, waiting=Waiting("CrashLoopBackOff", "10s")),
            {"waiting": {"reason": "CrashLoopBackOff", "message": "10s"}},
            ("Error", 1),
            "Running",
        ),
    ],
)
def test_waiting_states(
    container: ContainerView, state: Object, last: tuple[str, int] | None, phase: str
) -> None:
    found = status.compute(pod(), [container], facts())
    entry = found["containerStatuses"][0]
    assert entry["state"] == state
    ended = entry["lastState"].get("terminated")
    assert (ended and (ended["reason"], ended["exitCode"])) == last
    assert found["phase"] == phase
    assert ready(found["conditions"])["Ready"] == "False"


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        (process(0), "Completed", 0),
        (process(3), "Error", 3),
        (process(137, oom_killed=True, signal=9), "OOMKilled", 137),
        (process(137, error="lost: gone"), "ContainerStatusUnknown", 137),
        (process(127, error="no such file", pid=None), "StartError", 127),
    ],
)
def test_ends_have_upstreams_reasons(state: ProcessState, reason: str, code: int) -> None:
    found = status.terminated(state, "")
    assert (found["reason"], found["exitCode"]) == (reason, code)


def test_init_containers_and_outcomes() -> None:
    views = [view("i", "run", init=True), view("a")]
    found = status.compute(pod(), views, facts(initialized=False))
    assert found["phase"] == "Pending"
    assert found["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    initialized = next(c for c in found["conditions"] if c["type"] == "Initialized")
    assert initialized["reason"] == "ContainersNotInitialized"
    assert initialized["message"] == "containers with incomplete status: [i]"
    done = status.compute(pod("Never"), [view("a", 0)], facts(outcome="Succeeded"))
    assert done["phase"] == "Succeeded"
    reasons = {c["type"]: c.get("reason") for c in done["conditions"]}
    assert reasons["Ready"] == "PodCompleted"
    late = facts(outcome="Failed", reason="DeadlineExceeded", message="too long")
    failed = status.compute(pod("Never"), [view("a", 137)], late)
    assert (failed["phase"], failed["reason"]) == ("Failed", "DeadlineExceeded")


def test_conditions_of_others_and_readiness_gates() -> None:
    gated = pod(readinessGates=[{"conditionType": "example.org/ok"}])
    gated["status"]["conditions"] = [{"type": "PodScheduled", "status": "True"}]
    views = [view("a", "run", started=True, ready=True)]
    found = ready(status.compute(gated, views, facts())["conditions"])
    assert found["PodScheduled"] == "True"
    assert (found["ContainersReady"], found["Ready"]) == ("True", "False")
    gated["status"]["conditions"].append({"type": "example.org/ok", "status": "True"})
    assert ready(status.compute(gated, views, facts())["conditions"])["Ready"] == "True"


def test_nothing_new_is_nothing_to_write() -> None:
    views = [view("a", "run", started=True, ready=True)]
    first = status.compute(pod(), views, facts())
    later = facts(now=NOW + datetime.timedelta(hours=1))
    assert status.compute({**pod(), "status": first}, views, later) == first


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{}], "BestEffort"),
        ([{"requests": {"cpu": "1"}}], "Burstable"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}], "Guaranteed"),
        ([{"limits": {"cpu": "1", "memory": "1Gi"}}, {}], "Burstable"),
        ([{"requests": {"nvidia.com/gpu": "1"}}], "BestEffort"),
    ],
)
def test_quality_of_service(resources: list[Object], expected: str) -> None:
    containers = [{"name": f"c{i}", "resources": r} for i, r in enumerate(resources)]
    assert specs.qos_class({"spec": {"containers": containers}}) == expected
