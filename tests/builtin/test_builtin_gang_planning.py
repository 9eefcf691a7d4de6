"""One pass of the scheduler by tables and laws: gangs, turns, shares, who has to go."""

import datetime
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.builtin.gangs import membership, planning
from wherry.builtin.gangs.fitting import Site
from wherry.builtin.gangs.planning import Plan, View
from wherry.builtin.gangs.queues import Queues
from wherry.builtin.gangs.units import Pods
from wherry.builtin.placement import Demand, Room

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
Object = dict[str, Any]


def at(seconds: float) -> str:
    return (NOW + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str, cpu: int, space: str = "a", *, group: str = "", **more: Any) -> Object:
    """A pod; ``on`` a node, of a ``priority``, made ``created`` seconds from now (below zero)."""
    made: Object = {
        "metadata": {
            "name": name,
            "namespace": space,
            "uid": f"{space}/{name}",
            "creationTimestamp": at(more.get("created", -1)),
            "labels": {"app": name, **more.get("labels", {})},
        },
        "spec": {
            "priority": more.get("priority", 0),
            "containers": [{"name": "c", "resources": {"requests": {"cpu": str(cpu)}}}],
        },
        "status": {"phase": "Pending"},
    }
    if group:
        made["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] = group
    if more.get("on"):
        made["spec"]["nodeName"] = more["on"]
        made["status"] = {"phase": "Running", "startTime": at(more.get("started", -1))}
    for field in ("preemptionPolicy", "affinity", "topologySpreadConstraints"):
        if field in more:
            made["spec"][field] = more[field]
    if more.get("nominated"):
        made["status"]["nominatedNodeName"] = "n"
    if more.get("leaving"):
        made["metadata"]["deletionTimestamp"] = at(0)
    return made


def group(name: str, least: int, space: str = "a", **spec: Any) -> Object:
    created = at(spec.pop("created", -1))
    volcano = spec.pop("volcano", False)
    form = "scheduling.volcano.sh/v1beta1" if volcano else "scheduling.x-k8s.io/v1alpha1"
    return {
        "apiVersion": form,
        "metadata": {"name": name, "namespace": space, "creationTimestamp": created},
        "spec": {"minMember": least, **spec},
    }


def decide(
    pods: Sequence[Object],
    groups: Sequence[Object] = (),
    cpus: int = 8,
    *,
    nodes: int = 1,
    **more: Any,
) -> Plan:
    names = ["n", "m", "o"][:nodes]
    rooms = []
    for name in names:
        labels = {"kubernetes.io/hostname": name}
        offered = {"cpu": str(cpus), "pods": "100"}
        node = {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": offered}}
        room = Room(node, 1.0)
        for each in pods:
            if each["spec"].get("nodeName") == name:
                room.take(Demand.of(each), each)
        rooms.append(room)
    read = [membership.group(each) for each in groups]
    known = Pods(
        groups={each.key: each for each in read},
        of_group=lambda key: [each for each in pods if membership.key_of(each) == key],
        demand=Demand.of,
        hindrance=lambda each: "",
        queues=Queues(more.get("queues", {}), more.get("namespaces", {})),
        classes=more.get("classes", {}),
    )
    waiting = [each for each in pods if not each["spec"].get("nodeName")]
    view = View(Site(rooms, {}), waiting, known, more.get("budgets", ()), NOW, 60.0)
    return planning.plan(view)


def bound(plan: Plan) -> list[str]:
    return sorted(each["metadata"]["name"] for unit in plan.bindings for each, _ in unit)


def told(plan: Plan) -> dict[str, str]:
    return {each["metadata"]["name"]: reason for each, reason in plan.refusals}


def victims(plan: Plan) -> list[str]:
    return sorted(each["metadata"]["name"] for each, _ in plan.preempted)


def gang(name: str, size: int, cpu: int, space: str = "a", **more: Any) -> list[Object]:
    return [pod(f"{name}-{i}", cpu, space, group=name, **more) for i in range(size)]


def test_a_gang_is_placed_whole_or_not_at_all() -> None:
    assert bound(decide(gang("g", 4, 2), [group("g", 4)])) == ["g-0", "g-1", "g-2", "g-3"]
    plan = decide([*gang("g", 4, 2), pod("x", 1, "b", on="n")], [group("g", 4)])
    assert bound(plan) == []
    assert told(plan)["g-0"] == ("pod group a/g: needs 8 cpu in all, 7 are free, 1 are held by b/x")


def test_a_gang_waits_for_its_members() -> None:
    plan = decide(gang("g", 2, 1), [group("g", 4)])
    assert told(plan)["g-1"] == "pod group a/g: waiting for 2 more of 4 members"
    plan = decide(gang("g", 2, 1))
    assert told(plan)["g-0"] == "pod group a/g (scheduling.x-k8s.io) not found"


def test_more_than_the_least_are_placed_where_they_fit() -> None:
    plan = decide(gang("g", 5, 2), [group("g", 3)])
    assert len(bound(plan)) == 4
    assert len(told(plan)) == 1


def test_two_gangs_that_each_fit_half_do_not_lock_each_other_out() -> None:
    plan = decide([*gang("g", 3, 2), *gang("h", 3, 2)], [group("g", 3), group("h", 3, created=-5)])
    assert bound(plan) == ["h-0", "h-1", "h-2"]
    assert "held by a/h" in told(plan)["g-0"]


def test_what_a_crash_left_is_completed_before_anything_else() -> None:
    half = [*gang("g", 2, 2, on="n"), pod("g-9", 4, group="g", created=-1)]
    plan = decide([*half, pod("first", 4, created=-90, priority=5)], [group("g", 3)])
    assert bound(plan) == ["g-9"]


def test_half_a_gang_does_not_run_for_ever() -> None:
    half = [*gang("g", 2, 2, on="n", started=-400), pod("g-9", 2, group="g", created=-400)]
    other = pod("x", 4, "b", on="n")
    plan = decide([*half, other], [group("g", 3)])
    assert [each["metadata"]["name"] for each, _ in plan.dissolved] == ["g-0", "g-1"]
    assert decide([*half, other], [group("g", 3, scheduleTimeoutSeconds=500)]).dissolved == []
    # While it waits, room that is free is not given to others.
    small = pod("small", 1, "b")
    plan = decide(
        [*half[:2], pod("g-9", 3, group="g"), pod("x", 2, "b", on="n"), small], [group("g", 3)]
    )
    assert bound(plan) == []


def test_minimum_resources_have_to_be_free() -> None:
    wanted = group("g", 1, minResources={"cpu": "10"})
    plan = decide(gang("g", 2, 1), [wanted])
    assert told(plan)["g-0"] == "pod group a/g: needs 10 cpu in all, 8 are free"
    assert len(bound(decide(gang("g", 2, 1), [wanted], cpus=10))) == 2


def test_tasks_of_a_volcano_group_each_have_their_least() -> None:
    members = gang("g", 3, 1)
    for each, task in zip(members, ["ps", "worker", "worker"], strict=True):
        each["metadata"]["annotations"] = {
            "scheduling.k8s.io/group-name": "g",
            "volcano.sh/task-spec": task,
        }
        each["metadata"]["labels"] = {}
    least = {"ps": 1, "worker": 2}
    wanted = group("g", 3, volcano=True, minTaskMember=least)
    assert len(bound(decide(members, [wanted]))) == 3
    plan = decide(members[:2], [group("g", 1, volcano=True, minTaskMember=least)])
    assert "1 more of" in told(plan)["g-0"]


def test_namespaces_share_by_weight_and_within_one_the_older_is_first() -> None:
    waiting = [pod(f"a{i}", 1, "a", created=-100 + i) for i in range(8)]
    waiting += [pod(f"b{i}", 1, "b", created=-50 + i) for i in range(8)]
    assert Counter(name[0] for name in bound(decide(waiting))) == {"a": 4, "b": 4}
    assert {"a0", "a1", "a2", "a3"} <= set(bound(decide(waiting)))
    heavy = {"b": {"metadata": {"annotations": {"wherry.dev/queue-weight": "3"}}}}
    assert Counter(name[0] for name in bound(decide(waiting, namespaces=heavy))) == {"a": 2, "b": 6}


def test_what_runs_counts_towards_the_share() -> None:
    running = [pod(f"old{i}", 1, "a", on="n") for i in range(4)]
    waiting = [pod("a", 2, "a", created=-50), *(pod(f"b{i}", 2, "b") for i in range(2))]
    assert bound(decide([*running, *waiting])) == ["b0", "b1"]


def test_a_queue_keeps_its_capability() -> None:
    queues = {"q": {"metadata": {"name": "q"}, "spec": {"capability": {"cpu": "3"}}}}
    members = gang("g", 4, 1)
    for each in members:
        each["metadata"]["annotations"] = {"scheduling.k8s.io/group-name": "g"}
        each["metadata"]["labels"] = {}
    plan = decide(members, [group("g", 4, volcano=True, queue="q")], queues=queues)
    assert told(plan)["g-0"] == "pod group a/g: queue q may have 3 cpu and has 0"
    plan = decide(members, [group("g", 2, volcano=True, queue="q")], queues=queues)
    assert len(bound(plan)) == 3
    plan = decide(members, [group("g", 2, volcano=True, queue="other")], queues=queues)
    assert "Queue 'other' (scheduling.volcano.sh) not found" in told(plan)["g-0"]


def test_small_pods_do_not_pass_a_large_gang_for_ever() -> None:
    busy = pod("busy", 4, "b", on="n", created=-200, started=-200)
    large, small = gang("g", 3, 2, created=-100), [pod(f"s{i}", 1, "b") for i in range(4)]
    young = decide([busy, *gang("g", 3, 2, created=-10), *small], [group("g", 3, created=-10)])
    assert len(bound(young)) == 4
    old = decide([busy, *large, *small], [group("g", 3, created=-100)])
    assert bound(old) == []
    assert "room is held for pod group a/g, which has waited longest" in told(old)["s0"]
    # What can never fit keeps nobody waiting, nor does a group whose time is over.
    never = decide([busy, *gang("g", 3, 4, created=-100), *small], [group("g", 3, created=-100)])
    assert len(bound(never)) == 4
    timed = group("g", 3, created=-100, scheduleTimeoutSeconds=30)
    assert len(bound(decide([busy, *large, *small], [timed]))) == 4


def test_the_place_in_the_queue_is_told() -> None:
    gangs = [pod for i in range(3) for pod in gang(f"g{i}", 2, 4)]
    groups = [group(f"g{i}", 2, created=-10 + i) for i in range(3)]
    plan = decide([*gangs, pod("x", 2, "b", on="n")], groups)
    assert told(plan)["g2-0"].endswith("; behind 2 groups in queue a")


@pytest.mark.parametrize(
    ("running", "gone"),
    [
        # The least important, and no more of them than needed.
        ([("low", 4, 1), ("lower", 4, 0)], ["lower"]),
        ([("low", 2, 1), ("old", 2, 1), ("mid", 4, 5)], ["low", "old"]),
        # In vain nobody goes.
        ([("low", 2, 1), ("high", 6, 100)], []),
        ([("same", 8, 10)], []),
    ],
)
def test_who_has_to_go(running: list[tuple[str, int, int]], gone: list[str]) -> None:
    there = [pod(name, cpu, "b", on="n", priority=value) for name, cpu, value in running]
    plan = decide([*there, pod("new", 4, priority=10)])
    assert victims(plan) == gone
    assert plan.nominated == ({"a/new": "n"} if gone else {})


def test_the_youngest_goes_first_and_budgets_are_heeded() -> None:
    there = [pod(f"p{i}", 4, "b", on="n", started=-100 + i) for i in range(2)]
    assert victims(decide([*there, pod("new", 4, priority=1)])) == ["p1"]
    budget = {
        "metadata": {"name": "x", "namespace": "b"},
        "spec": {"selector": {"matchLabels": {"app": "p1"}}},
        "status": {"disruptionsAllowed": 0},
    }
    assert victims(decide([*there, pod("new", 4, priority=1)], budgets=[budget])) == ["p0"]
    # A budget is no reason for something important to wait.
    assert victims(decide([*there, pod("new", 8, priority=1)], budgets=[budget])) == ["p0", "p1"]


def test_gangs_go_whole_and_preempt_whole() -> None:
    there = [*gang("g", 3, 2, "b", on="n"), pod("x", 2, "b", on="n")]
    groups = [group("g", 3, "b"), group("h", 2)]
    plan = decide([*there, *gang("h", 2, 2, priority=1)], groups)
    assert victims(plan) == ["g-0", "g-1", "g-2"]
    assert sorted(plan.nominated) == ["a/h-0", "a/h-1"]
    assert victims(decide([*there, *gang("h", 2, 5, priority=1)], groups)) == []


def test_a_policy_of_never_and_those_who_leave_anyway() -> None:
    there = [pod("low", 8, "b", on="n")]
    assert victims(decide([*there, pod("new", 4, priority=1, preemptionPolicy="Never")])) == []
    leaving = [pod("low", 4, "b", on="n", leaving=True), pod("other", 4, "b", on="n")]
    plan = decide([*leaving, pod("new", 4, priority=1)])
    assert victims(plan) == []
    assert told(plan) == {"new": "waiting until b/low have stopped"}


def test_room_that_is_being_made_is_nobody_elses() -> None:
    leaving = pod("low", 4, "b", on="n", leaving=True)
    new = pod("new", 6, priority=1, nominated=True)
    assert bound(decide([leaving, new, pod("quick", 3, "c")])) == []
    # Without it the free half would be taken.
    assert bound(decide([leaving, pod("quick", 3, "c")])) == ["quick"]


def selecting(kind: str, label: str) -> Object:
    term = {
        "labelSelector": {"matchLabels": {"team": label}},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_pods_that_want_to_be_together_or_apart() -> None:
    red = {"team": "red"}
    keeping_off = selecting("podAntiAffinity", "red")
    first = pod("first", 1, labels=red, affinity=keeping_off, on="n")
    second = pod("second", 1, labels=red, affinity=keeping_off)
    plan = decide([first, second])
    assert "didn't match pod anti-affinity rules" in told(plan)["second"]
    assert [node for unit in decide([first, second], nodes=2).bindings for _, node in unit] == ["m"]
    assert "existing pods" in told(decide([first, pod("plain", 1, labels=red)]))["plain"]
    near = selecting("podAffinity", "red")
    alone = decide([pod("lone", 1, affinity=near)])
    assert "didn't match pod affinity rules" in told(alone)["lone"]
    assert bound(decide([pod("self", 1, labels=red, affinity=near)])) == ["self"]
    follower = pod("follower", 1, affinity=near, created=-1)
    leader = pod("leader", 1, labels=red, created=-9)
    assert bound(decide([leader, follower])) == ["follower", "leader"]


def test_pods_are_spread() -> None:
    def spread(name: str, **more: Any) -> Object:
        constraint = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"team": "red"}},
            **more,
        }
        return pod(name, 1, labels={"team": "red"}, topologySpreadConstraints=[constraint])

    plan = decide([spread(f"p{i}") for i in range(6)], nodes=3)
    nodes = Counter(node for unit in plan.bindings for _, node in unit)
    assert nodes == {"n": 2, "m": 2, "o": 2}
    assert len(bound(decide([spread(f"p{i}", minDomains=2) for i in range(3)]))) == 1
    assert "topology spread" in told(decide([spread("p", topologyKey="zone")]))["p"]


_GANGS = st.lists(
    st.tuples(
        st.integers(1, 5),  # pods
        st.integers(1, 5),  # of which are needed
        st.integers(1, 4),  # cpu
        st.integers(0, 2),  # priority
        st.sampled_from("abc"),  # namespace
        st.integers(0, 3),  # placed by an earlier pass
    ),
    max_size=7,
)


@settings(max_examples=150, deadline=None)
@given(_GANGS, st.integers(4, 16))
def test_laws_of_a_pass(drawn: list[tuple[int, int, int, int, str, int]], cpus: int) -> None:
    pods: list[Object] = []
    groups, free = [], cpus
    for number, (size, least, cpu, priority, space, placed) in enumerate(drawn):
        name = f"g{number}"
        groups.append(group(name, least, space, created=-number))
        whole = placed >= 2 and least <= size and size * cpu <= free
        free -= size * cpu * whole
        on = "n" if whole else ""
        pods += gang(name, size, cpu, space, priority=priority, on=on)
    plan = decide(pods, groups, cpus)
    # Nothing is promised twice.
    placed_pods = [each for unit in plan.bindings for each, _ in unit]
    used = sum(Demand.of(each).amounts["cpu"] for each in placed_pods)
    assert used <= free * 1000
    # A gang is placed with all it needs; each pod has one fate.
    sizes = Counter(
        each["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] for each in placed_pods
    )
    for name, number in sizes.items():
        assert number >= groups[int(name[1:])]["spec"]["minMember"]
    fates = [each["metadata"]["uid"] for each in placed_pods]
    fates += [each["metadata"]["uid"] for each, _ in plan.refusals]
    waiting = [each["metadata"]["uid"] for each in pods if not each["spec"].get("nodeName")]
    assert sorted(fates) == sorted(waiting)
    # Only less important ones go, and all of a gang.
    gone = Counter(
        each["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] for each, _ in plan.preempted
    )
    for name, number in gone.items():
        assert number == drawn[int(name[1:])][0]
    assert all(each["spec"]["priority"] < unit.priority for each, unit in plan.preempted)
    assert all(reason for _, reason in plan.refusals)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 2)), min_size=1, max_size=6))
def test_every_gang_that_fits_the_machine_gets_its_turn(drawn: list[tuple[int, int]]) -> None:
    """As they end one by one, each runs, however many there are and however large."""
    groups = [group(f"g{i}", size, created=-i) for i, (size, _) in enumerate(drawn)]
    left = {f"g{i}": gang(f"g{i}", size, cpu) for i, (size, cpu) in enumerate(drawn)}
    for _ in range(len(drawn)):
        plan = decide([each for pods in left.values() for each in pods], groups)
        ran = {
            each["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"]
            for unit in plan.bindings
            for each, _ in unit
        }
        for name in ran:
            del left[name]
    assert left == {}
