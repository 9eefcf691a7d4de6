"""HorizontalPodAutoscalers: the arithmetic in tables and laws, and the controller over the real API."""

import datetime
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wherry.apiserver.server import Extensions
from wherry.builtin.autoscaling import behavior, calculation
from wherry.builtin.autoscaling.behavior import Bounds, History
from wherry.builtin.autoscaling.calculation import Measured, Target, Tolerance
from wherry.objects import conditions, errors, kinds, metadata, usage
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
HPAS = kinds.HORIZONTAL_POD_AUTOSCALERS
CPU_80 = Target("cpu", "", 80, None)


def pod(name: str, *, request: str = "1", phase: str = "Running", ready: bool = True) -> Object:
    then = metadata.format_time(NOW - datetime.timedelta(hours=1))
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": then}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": request}}}]},
        "status": {"phase": phase, "startTime": then, "conditions": [condition]},
    }


def measured(**cores: str) -> dict[str, Measured]:
    minute = datetime.timedelta(seconds=15)
    return {name: Measured(Decimal(value), NOW, minute) for name, value in cores.items()}


def propose(
    current: int, pods: list[Object], metrics: dict[str, Measured], target: Target = CPU_80
) -> calculation.Proposal:
    return calculation.propose(current, target, pods, metrics, tolerance=Tolerance(), now=NOW)


@pytest.mark.parametrize(
    ("cores", "replicas", "utilization"),
    [
        (("0.8", "0.8"), 2, 80),
        (("1.6", "1.6"), 4, 160),
        (("0.87", "0.87"), 2, 87),
        (("0.2", "0.2"), 1, 20),
        (("0.0", "0.0"), 0, 0),
        (("1.2", "0.9"), 3, 105),
    ],
)
def test_utilization(cores, replicas, utilization):
    found = propose(2, [pod("a"), pod("b")], measured(a=cores[0], b=cores[1]))
    assert (found.replicas, found.utilization) == (replicas, utilization)


@pytest.mark.parametrize(
    ("second", "cores", "replicas"),
    [
        ("missing", {"a": "1.6"}, 2),
        ("missing", {"a": "0.1"}, 2),
        ("missing", {"a": "3.2"}, 4),
        ("unready", {"a": "1.6", "b": "0"}, 2),
        ("unready", {"a": "0.4", "b": "9"}, 1),
        ("failed", {"a": "1.6"}, 2),
        ("deleted", {"a": "0.4", "b": "9"}, 1),
    ],
)
def test_pods_of_which_little_is_known(second, cores, replicas):
    other = pod("b", ready=second != "unready", phase="Failed" if second == "failed" else "Running")
    if second == "unready":
        other["status"]["startTime"] = metadata.format_time(NOW)
    if second == "deleted":
        other["metadata"]["deletionTimestamp"] = metadata.format_time(NOW)
    assert propose(2, [pod("a"), other], measured(**cores)).replicas == replicas


def test_averages_need_no_requests():
    bare = [pod("a"), pod("b")]
    for one in bare:
        del one["spec"]["containers"][0]["resources"]
    target = Target("memory", "", None, Decimal(100))
    found = propose(2, bare, measured(a="150", b="250"), target)
    assert (found.replicas, found.utilization, found.average) == (4, None, Decimal(200))


def test_what_is_missing_is_named():
    bare = pod("a")
    del bare["spec"]["containers"][0]["resources"]
    missing = "missing request for cpu in container c of Pod a"
    with pytest.raises(calculation.NoMetricError, match=missing):
        propose(1, [bare], measured(a="1"))
    with pytest.raises(calculation.NoMetricError, match="no pods returned by selector"):
        propose(1, [], measured(a="1"))
    with pytest.raises(calculation.NoMetricError, match="pods might be unready"):
        propose(1, [pod("a", phase="Pending")], measured(a="1"))


@given(
    st.lists(
        st.tuples(st.floats(0, 8), st.sampled_from(["yes", "no", "gone"])), min_size=1, max_size=8
    ),
    st.integers(10, 200),
)
@example([(0.0, "no"), (0.1, "yes")], 10)
def test_what_is_not_known_never_makes_the_step_larger(pods, percent):
    """With every pod known there would be at least as large a step in the same direction."""
    objects = [pod(f"p{i}") for i in range(len(pods))]
    known = {f"p{i}": f"{v:.3f}" for i, (v, state) in enumerate(pods) if state == "yes"}
    target = Target("cpu", "", percent, None)
    if not known:
        return
    whole = [one for one in objects if one["metadata"]["name"] in known]
    current = len(objects)
    some = propose(current, objects, measured(**known), target).replicas
    of_known = propose(len(whole), whole, measured(**known), target).replicas
    if some > current:
        assert of_known > len(whole)
    if some < current:
        assert of_known < len(whole)


# How fast.


@pytest.mark.parametrize(
    ("current", "wanted", "rules", "replicas", "limited"),
    [
        (2, 3, None, 3, "DesiredWithinRange"),
        (2, 20, None, 4, "ScaleUpLimit"),
        (8, 20, None, 10, "TooManyReplicas"),
        (5, 0, None, 1, "TooFewReplicas"),
        (2, 20, {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}, 3, "ScaleUpLimit"),
        (2, 20, {"scaleUp": {"selectPolicy": "Disabled"}}, 2, "ScaleUpLimit"),
        (4, 20, {"scaleUp": {"selectPolicy": "Min"}}, 8, "ScaleUpLimit"),
        (
            10, 1,
            {"scaleDown": {"policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}]}},
            9, "ScaleDownLimit",
        ),
        (10, 1, {"scaleDown": {"selectPolicy": "Disabled"}}, 10, "ScaleDownLimit"),
    ],
)  # fmt: skip
def test_limits(current, wanted, rules, replicas, limited):
    found = behavior.decide(
        current, wanted, bounds=Bounds(1, 10, rules), history=History(), now=0.0
    )
    assert (found.replicas, found.limited.reason) == (replicas, limited)
    assert found.limited.value == (replicas != wanted)


def test_fewer_only_after_the_window():
    history, bounds = History(), Bounds(1, 10, {"scaleDown": {"stabilizationWindowSeconds": 60}})
    history.recommend(5, 0.0)
    first = behavior.decide(5, 2, bounds=bounds, history=history, now=30.0)
    assert (first.replicas, first.able.reason) == (5, "ScaleDownStabilized")
    assert behavior.decide(5, 2, bounds=bounds, history=history, now=61.0).replicas == 2


def test_policies_count_what_was_done_within_their_period():
    rules = {"scaleUp": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}}
    history, bounds = History(), Bounds(1, 100, rules)
    history.changed(2, 0.0)
    assert behavior.decide(4, 50, bounds=bounds, history=history, now=30.0).replicas == 4
    assert behavior.decide(4, 50, bounds=bounds, history=history, now=61.0).replicas == 6


POLICY = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Pods", "Percent"]),
        "value": st.integers(1, 200),
        "periodSeconds": st.integers(1, 1800),
    }
)
RULES = st.fixed_dictionaries(
    {
        "selectPolicy": st.sampled_from(["Max", "Min", "Disabled"]),
        "policies": st.lists(POLICY, min_size=1, max_size=3),
        "stabilizationWindowSeconds": st.integers(0, 600),
    }
)


@given(
    st.one_of(st.none(), st.fixed_dictionaries({"scaleUp": RULES, "scaleDown": RULES})),
    st.tuples(st.integers(1, 5), st.integers(5, 30)),
    st.lists(st.tuples(st.integers(0, 50), st.floats(1, 400)), max_size=12),
)
def test_it_stays_within_bounds_and_moves_towards_what_was_wanted(rules, ends, steps):
    history, now, current = History(), 0.0, ends[0]
    wanted_ever = [current]
    for wanted, pause in steps:
        now += pause
        bounds = Bounds(ends[0], ends[1], rules)
        found = behavior.decide(current, wanted, bounds=bounds, history=history, now=now)
        wanted_ever.append(wanted)
        assert ends[0] <= found.replicas <= ends[1]
        if found.replicas > current:
            assert max(wanted_ever) > current
        if found.replicas < current:
            assert min(wanted_ever) < current
        if found.replicas != current:
            history.changed(found.replicas - current, now)
        current = found.replicas


# The controller.


class FakeFigures:
    """Says that each pod uses what a test wants."""

    resource = usage.POD_METRICS
    definition: Mapping[str, Any] = {"schema": {"openAPIV3Schema": {"type": "object"}}}

    def __init__(self) -> None:
        self.world: Any
        self.used = usage.Usage(0.0, 0)
        self.disturb: Callable[[], Awaitable[object]] | None = None

    async def objects(self, namespace: str | None, name: str | None) -> list[Object]:
        if self.disturb is not None:
            disturb, self.disturb = self.disturb, None
            await disturb()
        now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
        pods = await self.world.client.list(kinds.PODS, namespace)
        window = usage.Window(now, 15.0)
        return [
            usage.pod_metrics(one, {"c": self.used}, window)
            for one in pods
            if one["status"].get("phase") == "Running"
        ]


@pytest.fixture
def fake() -> FakeFigures:
    return FakeFigures()


@pytest.fixture
def extensions(fake: FakeFigures) -> Extensions:
    return Extensions(computed=(fake,))


@pytest.fixture
async def figures(fake: FakeFigures, world: Any) -> FakeFigures:
    fake.world = world
    return fake


def workload(replicas: int = 2, **requests: str) -> Object:
    container = {"name": "c", "image": "python", "resources": {"requests": requests}}
    return {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
        },
    }


def autoscaler(kind: str = "Deployment", version: str = "apps/v1", **spec: Any) -> Object:
    reference = {"apiVersion": version, "kind": kind, "name": "web"}
    defaults = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 5}
    return {"metadata": {"name": "web"}, "spec": defaults | spec}


async def poke(world: Any, number: int) -> None:
    """Let the controller look again, before its 15 seconds are over."""
    await world.patch(HPAS, "web", {"metadata": {"annotations": {"poke": str(number)}}})


async def until_replicas(world: Any, resource: Any, wanted: int) -> None:
    numbers = iter(range(10_000))

    async def reached() -> bool:
        await poke(world, next(numbers))
        return bool((await world.get(resource, "web"))["spec"]["replicas"] == wanted)

    await world.until(reached, f"{wanted} replicas")


async def current_metric(world: Any) -> Any:
    async def there() -> Any:
        return ((await world.get(HPAS, "web")).get("status") or {}).get("currentMetrics")

    return (await world.until(there, "currentMetrics"))[0]


@pytest.mark.parametrize("resource", [kinds.DEPLOYMENTS, kinds.STATEFUL_SETS, kinds.REPLICA_SETS])
async def test_it_scales_up_and_down(figures, resource):
    world = figures.world
    figures.used = usage.Usage(0.2, 0)
    await world.create(resource, workload(cpu="100m"))
    await world.until_status(resource, "web", readyReplicas=2)
    down = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    await world.create(HPAS, autoscaler(resource.kind, behavior=down))

    await until_replicas(world, resource, 5)
    figures.used = usage.Usage(0.001, 0)
    await until_replicas(world, resource, 1)

    async def measured_at_last() -> bool:
        current = (await current_metric(world))["resource"]["current"]
        return bool(current == {"averageUtilization": 1, "averageValue": "1m"})

    await world.until(measured_at_last)
    events = await world.events("web")
    assert events["SuccessfulRescale"].startswith("New size: ")
    found = await world.get(HPAS, "web")
    for kind in ("AbleToScale", "ScalingActive"):
        assert conditions.is_true(found, kind), found["status"]["conditions"]


async def test_a_custom_resource_with_a_scale(figures):
    world = figures.world
    figures.used = usage.Usage(0.0, 300 * 2**20)
    await world.client.create(kinds.CUSTOM_RESOURCE_DEFINITIONS, _crd())
    fleets = Resource("test.dev", "v1", "fleets", kind="Fleet")
    await world.until_condition(kinds.CUSTOM_RESOURCE_DEFINITIONS, "fleets.test.dev", "Established")
    await world.create(fleets, {"metadata": {"name": "web"}, "spec": {"replicas": 2}})
    await world.patch(fleets, "web", {"status": {"selector": "app=web", "replicas": 2}})
    await world.create(kinds.REPLICA_SETS, workload(memory="100Mi"))
    await world.until_status(kinds.REPLICA_SETS, "web", readyReplicas=2)
    source = {
        "name": "memory",
        "container": "c",
        "target": {"type": "AverageValue", "averageValue": "200Mi"},
    }
    metrics = [{"type": "ContainerResource", "containerResource": source}]
    await world.create(HPAS, autoscaler("Fleet", "test.dev/v1", metrics=metrics))

    await until_replicas(world, fleets, 3)

    current = (await current_metric(world))["containerResource"]
    assert current == {"name": "memory", "container": "c", "current": {"averageValue": "314572800"}}


@pytest.mark.parametrize(
    ("spec", "kind", "reason", "message"),
    [
        (
            {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"}},
            "AbleToScale", "FailedGetScale", 'deployments.apps "nobody" not found',
        ),
        (
            {"scaleTargetRef": {"apiVersion": "x.dev/v1", "kind": "Thing", "name": "web"}},
            "AbleToScale", "FailedGetScale", 'no matches for kind "Thing" in version "x.dev/v1"',
        ),
        (
            {"metrics": [{"type": "Pods", "pods": {
                "metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "1"}}}]},
            "ScalingActive", "FailedGetPodsMetric", "custom.metrics.k8s.io is not served",
        ),
        (
            {"metrics": [{"type": "External", "external": {
                "metric": {"name": "queue"}, "target": {"type": "Value", "value": "1"}}}]},
            "ScalingActive", "FailedGetExternalMetric", "external.metrics.k8s.io is not served",
        ),
        ({}, "ScalingActive", "FailedGetResourceMetric", "missing request for cpu in container c"),
    ],
)  # fmt: skip
async def test_it_says_what_is_missing(figures, spec, kind, reason, message):
    world = figures.world
    await world.create(kinds.DEPLOYMENTS, workload(1))
    await world.until_status(kinds.DEPLOYMENTS, "web", readyReplicas=1)
    await world.create(HPAS, autoscaler(**spec))

    async def said() -> Object | None:
        found = conditions.get(await world.get(HPAS, "web"), kind)
        return found if found and found["status"] == "False" else None

    found = await world.until(said)

    assert (found["reason"], message in found["message"]) == (reason, True), found
    assert (await world.get(kinds.DEPLOYMENTS, "web"))["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"stabilizationWindowSeconds": 3601}, "stabilizationWindowSeconds: Invalid value: 3601"),
        ({"selectPolicy": "Some"}, 'selectPolicy: Unsupported value: "Some"'),
        (
            {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 1}]},
            "must be greater than zero",
        ),
        (
            {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]},
            "periodSeconds: Invalid value",
        ),
        (
            {"policies": [{"type": "All", "value": 1, "periodSeconds": 1}]},
            'Unsupported value: "All"',
        ),
    ],
)
async def test_behavior_is_checked(figures, rules, message):
    with pytest.raises(errors.InvalidError) as caught:
        await figures.world.create(HPAS, autoscaler(behavior={"scaleUp": rules}))
    assert message in str(caught.value)


async def test_a_target_that_changes_meanwhile_is_looked_at_again_at_once(figures):
    world = figures.world
    await world.create(kinds.DEPLOYMENTS, workload(cpu="100m"))
    await world.until_status(kinds.DEPLOYMENTS, "web", readyReplicas=2)
    change = {"metadata": {"labels": {"changed": "meanwhile"}}}
    figures.used = usage.Usage(0.2, 0)
    figures.disturb = lambda: world.patch(kinds.DEPLOYMENTS, "web", change)
    await world.create(HPAS, autoscaler())

    async def reached() -> bool:
        return bool((await world.get(kinds.DEPLOYMENTS, "web"))["spec"]["replicas"] == 5)

    await world.until(reached)
    events = await world.client.list(kinds.EVENTS, "default")
    assert [one for one in events if one["reason"] == "FailedRescale"] == []


async def test_a_target_at_zero_is_left_alone_and_one_out_of_bounds_brought_back(figures):
    world = figures.world
    await world.create(kinds.DEPLOYMENTS, workload(0))
    await world.create(HPAS, autoscaler(minReplicas=2))

    async def disabled() -> bool:
        found = conditions.get(await world.get(HPAS, "web"), "ScalingActive")
        return found is not None and found["reason"] == "ScalingDisabled"

    await world.until(disabled)
    await world.patch(kinds.DEPLOYMENTS, "web", {"spec": {"replicas": 1}})
    await until_replicas(world, kinds.DEPLOYMENTS, 2)
    await world.patch(kinds.DEPLOYMENTS, "web", {"spec": {"replicas": 9}})
    await until_replicas(world, kinds.DEPLOYMENTS, 5)


def _crd() -> Object:
    properties = {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    properties |= {"status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    paths = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "subresources": {"scale": paths},
    }
    names = {"plural": "fleets", "singular": "fleet", "kind": "Fleet"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "fleets.test.dev"},
        "spec": {"group": "test.dev", "scope": "Namespaced", "names": names, "versions": [version]},
    }
