"""The deciding parts by tables and laws: rollouts, counting, indexes, placement, sets."""

import datetime
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wherry.builtin import (
    daemon_decisions,
    endpoints,
    indexes,
    job_counting,
    job_decisions,
    placement,
    pod_failure_policy,
    replicas,
    revisions,
    rollout,
    stateful_decisions,
    stateful_pods,
)
from wherry.objects import metadata

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def replica_set(name: str, size: int, available: int, status: int | None = None) -> Any:
    counts = {"replicas": size if status is None else status, "availableReplicas": available}
    return {"metadata": {"name": name, "uid": name}, "spec": {"replicas": size}, "status": counts}


def deployment(replicas: int, surge: Any = "25%", unavailable: Any = "25%") -> Any:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {
        "metadata": {"name": "d"},
        "spec": {"replicas": replicas, "strategy": {"rollingUpdate": rolling}},
    }


@pytest.mark.parametrize(
    ("wanted", "surge", "unavailable", "bounds"),
    [
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (3, 0, 0, (0, 1)),
        (3, 0, 5, (0, 3)),
        (4, 2, "50%", (2, 2)),
        (4, None, None, (0, 1)),
    ],
)
def test_bounds(wanted: int, surge: Any, unavailable: Any, bounds: tuple[int, int]) -> None:
    assert rollout.fence(deployment(wanted, surge, unavailable)) == rollout.Fence(*bounds)


class Roll:
    """A rollout with sets whose statuses lag behind their pods."""

    def __init__(self, wanted: int, surge: int, unavailable: int, old: list[int]) -> None:
        self.deployment = deployment(wanted, surge, unavailable)
        self.fence = rollout.fence(self.deployment)
        self.new = replica_set("new", 0, 0)
        self.old = [replica_set(f"old-{n}", size, size) for n, size in enumerate(old)]
        self.ready = {metadata.name(one): one["spec"]["replicas"] for one in self.old}
        self.ready["new"] = 0

    def step(self) -> None:
        before = self.usable()
        size = rollout.scale_up_new(self.deployment, self.new, self.old)
        total = sum(map(rollout.count, (self.new, *self.old)))
        wanted = self.deployment["spec"]["replicas"]
        if size != rollout.count(self.new):
            grown = total - rollout.count(self.new) + size
            assert grown <= max(wanted + self.fence.surge, total)
            self.new["spec"]["replicas"] = size
            return
        sizes = rollout.scale_down_old(self.deployment, self.new, self.old)
        for one in self.old:
            assert 0 <= sizes.get(metadata.name(one), 0) <= rollout.count(one)
            one["spec"]["replicas"] = sizes.get(metadata.name(one), rollout.count(one))
        minimum = wanted - self.fence.unavailable
        assert self.usable() >= min(before, minimum)

    def usable(self) -> int:
        """Pods that stay ready if every status told the truth."""
        return sum(
            min(one["status"]["availableReplicas"], rollout.count(one))
            for one in (self.new, *self.old)
        )

    def obey(self, one: Any) -> None:
        """Let a set follow its wanted number, unready pods first to go, new ones not ready."""
        name = metadata.name(one)
        self.ready[name] = min(self.ready[name], rollout.count(one))

    def tell(self, one: Any) -> None:
        count, ready = rollout.count(one), self.ready[metadata.name(one)]
        one["status"] = {"replicas": count, "availableReplicas": min(ready, count)}


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 12),
    st.integers(0, 5),
    st.integers(0, 5),
    st.lists(st.integers(0, 8), max_size=3),
    st.lists(
        st.tuples(st.sampled_from(["step", "obey", "tell", "ready", "break"]), st.integers(0, 3)),
        max_size=60,
    ),
)
def test_a_rollout_stays_within_its_bounds(
    wanted: int, surge: int, unavailable: int, old: list[int], moves: list[tuple[str, int]]
) -> None:
    roll = Roll(wanted, surge, unavailable, old)
    sets = [roll.new, *roll.old]
    for move, which in moves:
        one = sets[which % len(sets)]
        name = metadata.name(one)
        if move == "step":
            roll.step()
        elif move == "obey":
            roll.obey(one)
        elif move == "tell":
            roll.obey(one)
            roll.tell(one)
        elif move == "ready":
            roll.ready[name] = min(roll.ready[name] + 1, rollout.count(one))
        else:
            roll.ready[name] = max(roll.ready[name] - 1, 0)
    # Left alone it converges.
    for _ in range(200):
        for one in sets:
            roll.ready[metadata.name(one)] = rollout.count(one)
            roll.tell(one)
        roll.step()
    assert rollout.count(roll.new) == wanted
    assert sum(map(rollout.count, roll.old)) == 0


@given(st.integers(0, 30), st.integers(0, 5), st.lists(st.integers(0, 12), min_size=1, max_size=4))
@example(1, 1, [1, 1, 1, 1])  # rounding leaves more than the largest has
def test_proportional_scaling_adds_up(wanted: int, surge: int, sizes: list[int]) -> None:
    sets = [replica_set(f"s{n}", size, size) for n, size in enumerate(sizes)]
    found = rollout.proportional(deployment(wanted, surge, 1), sets)
    assert all(size >= 0 for size in found.values())
    if found:
        assert sum(found.values()) == (wanted + surge if wanted else 0)


def test_a_scaling_that_was_broken_off_goes_on_in_the_same_proportion() -> None:
    old, new = replica_set("old", 8, 8), replica_set("new", 5, 0)
    for one in (old, new):
        one["metadata"].setdefault("annotations", {})[rollout.MAXIMUM] = "13"
    scaled = deployment(30, 3, 2)
    assert rollout.proportional(scaled, [old, new]) == {"old": 20, "new": 13}
    # The other one had changed meanwhile, so that only this one was written.
    old["spec"]["replicas"] = 20
    old["metadata"]["annotations"][rollout.MAXIMUM] = "33"
    assert rollout.proportional(scaled, [old, new]) == {"old": 20, "new": 13}


@given(st.sets(st.integers(0, 300)))
def test_indexes_round_trip(numbers: set[int]) -> None:
    assert indexes.parse(indexes.format(numbers)) == numbers


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([3], "3"), ([1, 2], "1,2"), ([1, 2, 3, 5, 7, 8, 9], "1-3,5,7-9")],
)
def test_indexes_text(numbers: list[int], text: str) -> None:
    assert indexes.format(numbers) == text


def tracked(number: int, phase: str, *, index: int | None = None) -> Any:
    fields: Any = {"name": f"p{number}", "uid": f"u{number}", "finalizers": [job_counting.TRACKING]}
    if index is not None:
        fields["annotations"] = {job_counting.INDEX: str(index)}
    return {"metadata": fields, "status": {"phase": phase}}


@settings(max_examples=200, deadline=None)
@given(st.booleans(), st.integers(1, 12), st.randoms(use_true_random=False))
def test_every_pod_is_counted_once_whatever_dies_in_between(
    indexed: bool, count: int, rng: random.Random
) -> None:
    mode = {"completionMode": "Indexed"} if indexed else {}
    job: Any = {"metadata": {"name": "j"}, "spec": {"completions": count, **mode}, "status": {}}
    pods = [tracked(n, "Running", index=n if indexed else None) for n in range(count)]
    shown = [dict(pod) for pod in pods]
    for _ in range(80):
        for pod in pods:
            if pod["status"]["phase"] == "Running" and rng.random() < 0.1:
                pod["status"] = {"phase": rng.choice(["Succeeded", "Failed"])}
        # The cache shows pods late.
        shown = [
            _copy(pod) if rng.random() < 0.6 else old for pod, old in zip(pods, shown, strict=True)
        ]
        tally = job_counting.tally(job, shown)
        if rng.random() < 0.2:
            continue  # killed before the status was written
        job["status"] = tally.status
        for seen in tally.release:
            if rng.random() < 0.5:
                real = next(pod for pod in pods if metadata.uid(pod) == metadata.uid(seen))
                real["metadata"]["finalizers"] = []
        if rng.random() < 0.1:
            # A new process: it knows nothing and has listed everything.
            shown = [_copy(pod) for pod in pods]
    for _ in range(3):
        tally = job_counting.tally(job, [_copy(pod) for pod in pods])
        job["status"] = tally.status
        for pod in tally.release:
            real = next(one for one in pods if metadata.uid(one) == metadata.uid(pod))
            real["metadata"]["finalizers"] = []
    done = [pod["status"]["phase"] for pod in pods]
    assert job["status"].get("succeeded", 0) == done.count("Succeeded")
    assert job["status"].get("failed", 0) == done.count("Failed")
    assert job["status"]["uncountedTerminatedPods"] == {}


def _copy(pod: Any) -> Any:
    fields = {**pod["metadata"], "finalizers": list(pod["metadata"]["finalizers"])}
    return {**pod, "metadata": fields, "status": dict(pod["status"])}


_RUNS = {"uncountedTerminatedPods": {}, "terminating": 0, "startTime": "t0", "active": 2}


@pytest.mark.parametrize(
    ("before", "after", "spec", "waits"),
    [
        (None, _RUNS | {"ready": 0}, {}, True),
        (_RUNS | {"ready": 0}, _RUNS | {"ready": 1}, {}, True),
        (_RUNS | {"ready": 1}, _RUNS | {"ready": 1}, {}, False),
        (_RUNS, _RUNS | {"active": 1, "succeeded": 1}, {}, False),
        (_RUNS, _RUNS | {"active": 1, "terminating": 1}, {}, False),
        (_RUNS, _RUNS | {"uncountedTerminatedPods": {"failed": ["u"]}}, {}, False),
        (_RUNS, _RUNS | {"conditions": [{"type": "FailureTarget"}]}, {}, False),
        ({}, {"uncountedTerminatedPods": {}, "terminating": 0, "ready": 0}, {}, False),
        (None, _RUNS, {"activeDeadlineSeconds": 9}, False),
        (_RUNS, _RUNS | {"ready": 1}, {"activeDeadlineSeconds": 9}, True),
    ],
)
def test_what_passes_may_wait_to_be_written(
    before: Any, after: Any, spec: Any, waits: bool
) -> None:
    job = {"spec": spec, "status": before}
    assert job_decisions.may_wait(job, after) is waits


def test_backoff_grows_with_failures_in_a_row_and_starts_anew_after_a_success() -> None:
    job: Any = {"spec": {}}
    when = metadata.format_time(NOW)
    tally = job_counting.Tally(failures=[when, when, when])
    assert job_decisions.backoff_in(job, tally, NOW, 10) == 40
    tally.failures = [when] * 30
    assert job_decisions.backoff_in(job, tally, NOW, 10) == 600
    tally.last_success = metadata.format_time(NOW + datetime.timedelta(seconds=1))
    assert job_decisions.backoff_in(job, tally, NOW, 10) == 0


@pytest.mark.parametrize(
    ("status", "codes", "action"),
    [
        ({"exitCode": 42}, {"operator": "In", "values": [42]}, "FailJob"),
        ({"exitCode": 1}, {"operator": "In", "values": [42]}, "Count"),
        ({"exitCode": 1}, {"operator": "NotIn", "values": [42]}, "FailJob"),
        ({"exitCode": 0}, {"operator": "NotIn", "values": [42]}, "Count"),
        ({"exitCode": 42}, {"operator": "In", "values": [42], "containerName": "x"}, "Count"),
    ],
)
def test_failure_policy(status: Any, codes: Any, action: str) -> None:
    job = {"spec": {"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": codes}]}}}
    ended = [{"name": "main", "state": {"terminated": status}}]
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": ended}}
    assert pod_failure_policy.action(job, pod)[0] == action


def asking(cpu: str, **spec: Any) -> Any:
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    return {"metadata": {"name": "p"}, "spec": {"containers": [container], **spec}}


def test_init_containers_count_by_their_peak_and_sidecars_always() -> None:
    request = {"resources": {"requests": {"cpu": "2"}}}
    pod = asking("500m", initContainers=[{"name": "i", **request}])
    assert placement.requests_of(pod) == {"cpu": 2000}
    sidecar = {"name": "s", "restartPolicy": "Always", **request}
    pod = asking("500m", initContainers=[sidecar, {"name": "i", **request}])
    assert placement.requests_of(pod) == {"cpu": 4000}


@pytest.mark.parametrize(
    ("pod_spec", "node_spec", "labels", "found"),
    [
        ({}, {}, {}, []),
        ({}, {"unschedulable": True}, {}, ["node(s) were unschedulable"]),
        ({"nodeSelector": {"a": "b"}}, {}, {"a": "b"}, []),
        (
            {"nodeSelector": {"a": "b"}},
            {},
            {},
            ["node(s) didn't match Pod's node affinity/selector"],
        ),
        (
            {},
            {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]},
            {},
            ["node(s) had untolerated taint {k: v}"],
        ),
        (
            {"tolerations": [{"key": "k", "operator": "Exists"}]},
            {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]},
            {},
            [],
        ),
        ({}, {"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}, {}, []),
    ],
)
def test_obstacles(pod_spec: Any, node_spec: Any, labels: Any, found: list[str]) -> None:
    node = {"metadata": {"name": "n", "labels": labels}, "spec": node_spec}
    assert placement.obstacles(asking("1", **pod_spec), node) == found


@pytest.mark.parametrize(
    ("operator", "values", "match"),
    [
        ("In", ["5"], True),
        ("Gt", ["4"], True),
        ("Lt", ["4"], False),
        ("Exists", [], True),
        ("NotIn", ["5"], False),
    ],
)
def test_node_affinity(operator: str, values: list[str], match: bool) -> None:
    expression = {"key": "size", "operator": operator, "values": values}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    node = {"metadata": {"name": "n", "labels": {"size": "5"}}}
    assert (placement.obstacles(asking("1", affinity=affinity), node) == []) is match


@given(st.lists(st.integers(1, 3000), max_size=30), st.integers(1, 8))
def test_a_room_is_never_overfull(requests: list[int], cpus: int) -> None:
    node = {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": str(cpus), "pods": "10"}}}
    room = placement.Room(node, 1.0)
    taken = 0
    for request in requests:
        demand = placement.Demand.of(asking(f"{request}m"))
        if not room.shortages(demand):
            room.take(demand)
            taken += request
    assert taken <= cpus * 1000
    assert room.pods <= 10


def test_host_ports_are_given_once() -> None:
    node = {"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "4"}}}
    pod = asking("1")
    pod["spec"]["containers"][0]["ports"] = [{"hostPort": 80, "containerPort": 80}]
    room, demand = placement.Room(node, 1.0), placement.Demand.of(pod)
    room.take(demand)
    assert "free ports" in room.shortages(demand)[0]


def ready_pod(name: str, *, ready: bool = True, deleting: bool = False, revision: str = "") -> Any:
    status = "True" if ready else "False"
    fields: Any = {
        "name": name,
        "uid": name,
        "labels": {revisions.POD_LABEL: revision},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    if deleting:
        fields["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    listed = [{"type": "Ready", "status": status, "lastTransitionTime": "2025-12-31T23:59:50Z"}]
    return {
        "metadata": fields,
        "spec": {"nodeName": "n"},
        "status": {"phase": "Running", "conditions": listed},
    }


def test_the_least_useful_pods_go_first() -> None:
    good, unready = ready_pod("good"), ready_pod("unready", ready=False)
    unplaced = {**ready_pod("unplaced", ready=False), "spec": {}}
    assert [metadata.name(one) for one in replicas.surplus([good, unready, unplaced], 2)] == [
        "unplaced",
        "unready",
    ]


def test_ready_for_long_enough() -> None:
    pod = ready_pod("p")
    assert replicas.available_in(pod, 0, NOW) == 0
    assert replicas.available_in(pod, 15, NOW) == 5
    assert replicas.count_available([pod], 10, NOW) == 1


def scene(count: int, pods: Any, **spec: Any) -> stateful_decisions.Scene:
    stateful_set = {"metadata": {"name": "s"}, "spec": {"replicas": count, **spec}}
    return stateful_decisions.Scene(stateful_set, "old", "new", pods, NOW)


def member(number: int, revision: str = "new", **state: bool) -> Any:
    return ready_pod(f"s-{number}", **state, revision=revision)


PARALLEL = {"podManagementPolicy": "Parallel"}


@pytest.mark.parametrize(
    ("count", "pods", "spec", "create", "delete"),
    [
        (3, {}, {}, [0], []),
        (3, {}, PARALLEL, [0, 1, 2], []),
        (3, {0: member(0, ready=False)}, {}, [], []),
        (3, {0: member(0, deleting=True)}, {}, [], []),
        (1, {0: member(0), 1: member(1), 2: member(2)}, {}, [], ["s-2"]),
        (1, {0: member(0), 1: member(1), 2: member(2)}, PARALLEL, [], ["s-2", "s-1"]),
        (1, {0: member(0, ready=False), 1: member(1)}, {}, [], []),
        (1, {0: member(0), 1: member(1, ready=False), 2: member(2, ready=False)}, {}, [], []),
        (2, {0: member(0, "old"), 1: member(1, "old")}, {}, [], ["s-1"]),
        (2, {0: member(0, "old"), 1: member(1)}, {}, [], ["s-0"]),
        (2, {0: member(0, "old"), 1: member(1, ready=False)}, {}, [], []),
        (2, {0: member(0), 1: member(1, "old", ready=False)}, {}, [], ["s-1"]),
        (
            2,
            {0: member(0, "old"), 1: member(1, "old")},
            {"updateStrategy": {"type": "OnDelete"}},
            [],
            [],
        ),
        (
            3,
            {n: member(n, "old") for n in range(3)},
            {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}},
            [],
            ["s-2", "s-1"],
        ),
        (
            2,
            {0: member(0, "old"), 1: member(1)},
            {"updateStrategy": {"rollingUpdate": {"partition": 1}}},
            [],
            [],
        ),
    ],
)
def test_stateful_steps(
    count: int, pods: Any, spec: Any, create: list[int], delete: list[str]
) -> None:
    step = stateful_decisions.plan(scene(count, pods, **spec))
    assert step.create == create
    assert [metadata.name(pod) for pod in step.delete] == delete


def test_below_the_partition_the_former_revision_is_made() -> None:
    found = scene(3, {}, updateStrategy={"rollingUpdate": {"partition": 2}}, ordinals={"start": 1})
    assert [found.wanted_revision(number) for number in (1, 2, 3)] == ["old", "old", "new"]


@pytest.mark.parametrize(
    ("name", "ordinal"), [("s-3", 3), ("s-03", -1), ("t-3", -1), ("s-x", -1), ("s", -1)]
)
def test_ordinals(name: str, ordinal: int) -> None:
    stateful_set = {"metadata": {"name": "s"}}
    assert stateful_pods.ordinal_of(stateful_set, {"metadata": {"name": name}}) == ordinal


def test_a_daemon_update_leaves_enough_running() -> None:
    pods = {f"n{n}": [ready_pod(f"p{n}", revision="old")] for n in range(4)}
    rolling = {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "50%"}}}
    daemon_set = {"metadata": {"name": "d"}, "spec": rolling}
    found = daemon_decisions.Scene(daemon_set, "new", frozenset(pods), pods, NOW)
    step = daemon_decisions.plan(found)
    assert len(step.delete) == 2
    assert step.create == []


def test_slices_hold_a_hundred_and_keep_their_names() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "x", "uid": "u"},
        "spec": {"ports": [{"port": 80}], "selector": {}},
    }
    pods = [ready_pod(f"p{n:03}") for n in range(250)]
    for number, pod in enumerate(pods):
        pod["status"]["podIP"] = f"127.32.1.{number}"
    made = endpoints.slices_of(service, pods)
    assert [len(one["endpoints"]) for one in made] == [100, 100, 50]
    again = endpoints.slices_of(service, pods[:120])
    assert [metadata.name(one) for one in again] == [metadata.name(one) for one in made[:2]]
