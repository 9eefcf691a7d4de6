"""The gate: who is let in, in which order, and who is refused."""

import asyncio
import copy
from collections.abc import Iterable

import pytest

from wherry.apiserver.fairness import defaults, gate
from wherry.apiserver.fairness.classification import Asked
from wherry.apiserver.fairness.gate import Flow, Gate
from wherry.apiserver.fairness.queues import FairQueues, Waiting
from wherry.apiserver.identity import User
from wherry.objects import errors
from wherry.objects.requests import Object

GET_PODS = Asked("get", "", "pods", "default")


def user(name: str, *groups: str) -> User:
    return User(name, groups=(*groups, "system:authenticated"))


def account(name: str, namespace: str = "team") -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return user(f"system:serviceaccount:{namespace}:{name}", *groups)


def gate_of(
    schemas: Iterable[Object] = (), levels: Iterable[Object] = (), *, seats: int = 600
) -> Gate:
    all_schemas = [*defaults.flow_schemas(), *schemas]
    all_levels = [*defaults.priority_levels(), *levels]
    for number, obj in enumerate((*all_schemas, *all_levels)):
        obj["metadata"]["uid"] = f"uid-{number}"
    return Gate(lambda: (all_schemas, all_levels), seats)


@pytest.mark.parametrize(
    ("who", "asked", "schema", "level"),
    [
        (user("root", "system:masters"), GET_PODS, "exempt", "exempt"),
        (user("bob"), Asked("get", path="/readyz"), "probes", "exempt"),
        (user("bob"), Asked("get", path="/metrics"), "global-default", "global-default"),
        (user("bob"), GET_PODS, "global-default", "global-default"),
        (account("sa"), GET_PODS, "service-accounts", "workload-low"),
        (account("gc", "kube-system"), GET_PODS, "kube-system-service-accounts", "workload-high"),
        (
            account("gc", "kube-system"),
            Asked("update", "coordination.k8s.io", "leases", "team"),
            "system-leader-election",
            "leader-election",
        ),
        (user("system:kube-scheduler"), GET_PODS, "kube-scheduler", "workload-high"),
        (user("n", "system:nodes"), Asked("update", "", "nodes/status"), "system-node-high", "node-high"),
        (user("n", "system:nodes"), GET_PODS, "system-nodes", "system"),
        (User("system:anonymous", groups=("system:unauthenticated",)), GET_PODS, "global-default", "global-default"),
        (User("odd"), GET_PODS, "catch-all", "catch-all"),
    ],
)  # fmt: skip
def test_requests_fall_under_the_schemas_of_upstream(who, asked, schema, level):
    found = gate_of().flow(who, asked)
    assert (found.schema.name, found.level.name) == (schema, level)


def test_the_client_is_told_the_uids():
    found = gate_of().flow(user("bob"), GET_PODS)
    assert found.headers == {
        "X-Kubernetes-PF-FlowSchema-UID": found.schema.uid,
        "X-Kubernetes-PF-PriorityLevel-UID": found.level.uid,
    }
    assert found.schema.uid


def test_a_schema_of_ones_own_comes_first_and_one_without_a_level_not_at_all():
    own = copy.deepcopy(defaults.flow_schemas()[-2])
    own["metadata"]["name"] = "mine"
    own["spec"] |= {"matchingPrecedence": 50, "priorityLevelConfiguration": {"name": "system"}}
    dangling = copy.deepcopy(own)
    dangling["metadata"]["name"] = "dangling"
    dangling["spec"] |= {"matchingPrecedence": 40, "priorityLevelConfiguration": {"name": "none"}}
    found = gate_of([own, dangling]).flow(user("bob"), GET_PODS)
    assert (found.schema.name, found.level.name) == ("mine", "system")


def test_nobody_can_take_the_mandatory_schemas_away():
    changed = copy.deepcopy(defaults.flow_schemas()[0])
    changed["spec"] |= {"rules": [], "matchingPrecedence": 9999}
    whole = Gate(lambda: ([changed], []))
    assert whole.flow(user("root", "system:masters"), GET_PODS).level.exempt
    assert whole.flow(user("bob"), GET_PODS).schema.name == "catch-all"


def test_a_changed_configuration_is_read_before_the_next_request():
    schemas, levels = defaults.flow_schemas(), defaults.priority_levels()
    one = Gate(lambda: (schemas, levels))
    before = one.flow(user("bob"), GET_PODS)
    assert before.level.seats == -(-600 * 20 // 245)
    levels[-1]["spec"]["limited"]["nominalConcurrencyShares"] = 1000
    assert one.flow(user("bob"), GET_PODS) is before
    one.changed()
    after = one.flow(user("bob"), GET_PODS)
    assert after is not before
    assert after.level is before.level, "who runs and waits is still counted"
    assert after.level.seats > 400


async def _run(one: Gate, flow: Flow, name: str, order: list[str], items: int = 0) -> None:
    if not one.enter(flow, items):
        await one.wait(flow, items)
    order.append(name)
    one.leave(flow, items)


async def test_a_quiet_user_waits_for_one_turn_of_a_noisy_one_and_no_more():
    one = gate_of()
    order: list[str] = []
    loud, quiet = one.flow(user("loud"), GET_PODS), one.flow(user("quiet"), GET_PODS)
    floods = [asyncio.ensure_future(_run(one, loud, "loud", order, 1000)) for _ in range(40)]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await _run(one, quiet, "quiet", order)
    await asyncio.gather(*floods)
    assert order.count("loud") == 40
    # One list was begun already, one may be in the turn that is being given out.
    assert order.index("quiet") <= 3, order


async def test_administrators_and_probes_never_wait():
    one = gate_of(seats=8)
    loud = one.flow(user("loud"), GET_PODS)
    tasks = [asyncio.ensure_future(_run(one, loud, "loud", [], 5000)) for _ in range(40)]
    await asyncio.sleep(0)
    assert one.enter(one.flow(user("root", "system:masters"), GET_PODS), 5000)
    assert one.enter(one.flow(user("loud"), Asked("get", path="/livez")))
    await asyncio.gather(*tasks)


async def test_seats_bound_what_waits_for_something_else():
    """A request that waits (for the disk, for a webhook) holds its seat."""
    one = gate_of(seats=245)
    flow = one.flow(user("bob"), GET_PODS)
    # Its own and half of what the others have, which they lend while they do not need it.
    lent = sum(
        level.seats * level.lendable // 100
        for level in one.levels.values()
        if level is not flow.level
    )
    running = 0
    for _ in range(flow.level.seats + lent):
        if not one.enter(flow):
            await one.wait(flow)
        running += 1
    late = asyncio.ensure_future(one.wait(flow))
    await asyncio.sleep(0)  # it begins to wait
    await asyncio.sleep(0.02)
    assert not late.done()
    assert flow.level.used == running
    one.leave(flow)
    async with asyncio.timeout(60):
        await late
    for _ in range(running):
        one.leave(flow)
    assert (flow.level.used, flow.level.executing) == (0, 0)
    assert one.counts.wait_seconds["global-default", "global-default"] >= 0.02


async def test_a_full_queue_refuses_with_a_time_to_come_back():
    one = gate_of(seats=8)
    flow = one.flow(user("loud"), GET_PODS)
    tasks = [asyncio.ensure_future(_run(one, flow, "", [], 9000)) for _ in range(600)]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [each for each in done if isinstance(each, errors.TooManyRequestsError)]
    # A hand of six queues with fifty places each, and the one that runs.
    assert 600 - len(refused) in range(290, 320)
    assert refused[0].details["retryAfterSeconds"] == 1
    assert one.counts.rejected["global-default", "global-default", "queue-full"] == len(refused)


async def test_a_level_that_rejects_does_so_only_when_it_is_full():
    one = gate_of()
    flow = one.flow(User("odd"), GET_PODS)
    seats = flow.level.seats + sum(
        each.seats * each.lendable // 100 for each in one.levels.values() if each is not flow.level
    )
    for _ in range(seats):
        if not one.enter(flow):
            await one.wait(flow)
    with pytest.raises(errors.TooManyRequestsError):
        await one.wait(flow)
    assert one.counts.rejected["catch-all", "catch-all", "concurrency-limit"] == 1


async def test_a_request_waits_no_longer_than_it_should(monkeypatch):
    monkeypatch.setattr(gate, "QUEUE_SECONDS", 0.05)
    one = gate_of(seats=1)
    flow = one.flow(user("bob"), GET_PODS)
    lent = sum(
        level.seats * level.lendable // 100
        for level in one.levels.values()
        if level is not flow.level
    )
    for _ in range(flow.level.seats + lent):
        if not one.enter(flow):
            await one.wait(flow)
    with pytest.raises(errors.TooManyRequestsError):
        await one.wait(flow)
    assert one.counts.rejected["global-default", "global-default", "time-out"] == 1
    assert flow.level.queues.size == 0


async def test_who_goes_away_while_waiting_leaves_nothing_behind():
    one = gate_of()
    flow = one.flow(user("bob"), GET_PODS)
    tasks = [asyncio.ensure_future(_run(one, flow, "", [], 9000)) for _ in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (flow.level.used, flow.level.executing, flow.level.queues.size) == (0, 0, 0)


async def test_the_last_seat_is_for_each_level_in_turn_by_its_shares():
    one = gate_of()
    order: list[str] = []
    low, default = one.flow(account("sa"), GET_PODS), one.flow(user("bob"), GET_PODS)
    flows = [("low", low)] * 60 + [("default", default)] * 60
    await asyncio.gather(*(_run(one, flow, name, order, 1000) for name, flow in flows))
    # 100 shares to 20, as long as both have something to do.
    assert 4 * order[:60].count("default") <= order[:60].count("low")
    assert order[:60].count("default") >= 5


def test_flows_are_dealt_hands_that_differ():
    queues = FairQueues(64, 6, 50)
    hands = {tuple(queues.deal(f"flow-{number}")) for number in range(200)}
    assert len(hands) == 200
    assert all(len(set(hand)) == 6 for hand in hands)
    assert queues.deal("flow-1") == queues.deal("flow-1")


async def test_queues_serve_whoever_has_had_least():
    queues = FairQueues(8, 1, 50)
    loop = asyncio.get_running_loop()
    costly, cheap = ([Waiting(loop.create_future(), cost, 1) for _ in range(6)] for cost in (10, 1))
    for one, other in zip(costly, cheap, strict=True):
        assert queues.add([0], one)
        assert queues.add([1], other)
    order = [queues.pop(100).cost for _ in range(12)]
    assert order[:8].count(1) == 6, order
    assert queues.peek(100) is None
