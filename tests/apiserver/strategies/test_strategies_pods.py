"""Pods: what is filled in, what admission adds, what is refused, what may change."""

import copy
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.apiserver.strategies.podspecs import defaults
from wherry.objects import errors, kinds

POD: dict[str, Any] = {"spec": {"containers": [{"name": "main", "image": "python:3.12"}]}}


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    made = copy.deepcopy(POD)
    made["spec"]["containers"][0].update(container or {})
    made["spec"].update(spec)
    return made


async def test_minimal_pod_gets_every_default(writer):
    obj = writer.default(kinds.PODS, POD)
    assert obj["spec"] == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "containers": [
            {
                "name": "main",
                "image": "python:3.12",
                "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "resources": {},
            }
        ],
    }
    assert obj["status"]["phase"] == "Pending"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("python", "Always"),
        ("python:latest", "Always"),
        ("python:3.12", "IfNotPresent"),
        ("localhost:5000/python", "Always"),
        ("localhost:5000/python:1", "IfNotPresent"),
        ("python@sha256:abc", "IfNotPresent"),
        ("python:latest@sha256:abc", "Always"),
        ("", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image, policy):
    assert defaults.pull_policy(image) == policy


async def test_container_parts_get_defaults(writer):
    container = {
        "ports": [{"containerPort": 80}],
        "env": [
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ],
        "readinessProbe": {"httpGet": {"port": 80}},
        "lifecycle": {"preStop": {"httpGet": {"port": 80}}},
        "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}, "requests": {"cpu": "0.1"}},
    }
    made = writer.default(kinds.PODS, pod(container))["spec"]["containers"][0]
    assert made["ports"][0]["protocol"] == "TCP"
    assert made["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert made["env"][1]["valueFrom"]["resourceFieldRef"]["divisor"] == "0"
    assert made["readinessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert made["lifecycle"]["preStop"]["httpGet"]["scheme"] == "HTTP"
    assert made["resources"] == {
        "limits": {"cpu": "500m", "memory": "1Gi"},
        "requests": {"cpu": "100m", "memory": "1Gi"},
    }


@pytest.mark.parametrize(
    ("source", "filled"),
    [
        ({}, {"emptyDir": {}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"configMap": {"name": "c"}}, {"configMap": {"name": "c", "defaultMode": 420}}),
        ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
        ({"emptyDir": {"sizeLimit": "1024Ki"}}, {"emptyDir": {"sizeLimit": "1Mi"}}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                    "defaultMode": 420,
                }
            },
        ),
        (
            {"ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"ephemeral": {"volumeClaimTemplate": {"spec": {"volumeMode": "Filesystem"}}}},
        ),
    ],
)
async def test_volume_sources_get_defaults(writer, source, filled):
    made = writer.default(kinds.PODS, pod(volumes=[{"name": "v", **source}]))
    assert made["spec"]["volumes"] == [{"name": "v", **filled}]


async def test_admission_mounts_the_token(writer):
    obj = writer.good(kinds.PODS, POD)
    spec = obj["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert volume["projected"]["sources"][0] == {
        "serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}
    }
    assert spec["containers"][0]["volumeMounts"] == [
        {
            "name": volume["name"],
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }
    ]
    assert spec["priority"] == 0
    assert spec["preemptionPolicy"] == "PreemptLowerPriority"
    assert [t["tolerationSeconds"] for t in spec["tolerations"]] == [300, 300]
    assert obj["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


async def test_account_decides_about_the_token(writer):
    account = {
        "metadata": {"name": "quiet", "namespace": "default"},
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": "pull"}],
    }
    await writer.store(kinds.SERVICE_ACCOUNTS, account)
    quiet = writer.good(kinds.PODS, pod(serviceAccountName="quiet"))["spec"]
    assert "volumes" not in quiet
    assert quiet["imagePullSecrets"] == [{"name": "pull"}]
    asked = pod(serviceAccountName="quiet", automountServiceAccountToken=True)
    assert writer.good(kinds.PODS, asked)["spec"]["volumes"]
    refused = pod(automountServiceAccountToken=False)
    assert "volumes" not in writer.good(kinds.PODS, refused)["spec"]


async def test_container_with_its_own_token_mount_is_left_alone(writer):
    mount = {"name": "mine", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    made = writer.good(kinds.PODS, pod({"volumeMounts": [mount]}, volumes=[{"name": "mine"}]))
    assert [volume["name"] for volume in made["spec"]["volumes"]] == ["mine"]
    assert made["spec"]["containers"][0]["volumeMounts"] == [mount]


async def test_unknown_account_and_priority_are_forbidden(writer):
    with pytest.raises(errors.ForbiddenError, match='serviceaccount "ghost" not found'):
        writer.create(kinds.PODS, pod(serviceAccountName="ghost"))
    with pytest.raises(errors.ForbiddenError, match="no PriorityClass with name ghost was found"):
        writer.create(kinds.PODS, pod(priorityClassName="ghost"))
    with pytest.raises(errors.ForbiddenError, match="must not be provided in pod spec"):
        writer.create(kinds.PODS, pod(priority=7))


async def test_priority_comes_from_the_class(writer):
    await writer.store(
        kinds.PRIORITY_CLASSES,
        {"metadata": {"name": "high"}, "value": 9, "preemptionPolicy": "Never"},
    )
    await writer.store(
        kinds.PRIORITY_CLASSES, {"metadata": {"name": "usual"}, "value": 3, "globalDefault": True}
    )
    high = writer.good(kinds.PODS, pod(priorityClassName="high"))["spec"]
    assert (high["priority"], high["preemptionPolicy"]) == (9, "Never")
    usual = writer.good(kinds.PODS, POD)["spec"]
    assert (usual["priority"], usual["priorityClassName"]) == (3, "usual")
    node = writer.good(kinds.PODS, pod(priorityClassName="system-node-critical"))["spec"]
    assert node["priority"] == 2000001000


async def test_given_tolerations_are_kept(writer):
    mine = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    made = writer.good(kinds.PODS, pod(tolerations=[mine]))["spec"]["tolerations"]
    assert made[0] == mine
    assert [one["key"] for one in made[1:]] == ["node.kubernetes.io/unreachable"]
    everything = [{"operator": "Exists"}]
    assert writer.good(kinds.PODS, pod(tolerations=everything))["spec"]["tolerations"] == everything


MAIN = "spec.containers[0]"


@pytest.mark.parametrize(
    ("obj", "field", "text"),
    [
        (pod(containers=[]), "spec.containers", "Required value"),
        (pod({"name": ""}), f"{MAIN}.name", "Required value"),
        (pod({"name": "Main"}), f"{MAIN}.name", "RFC 1123 label"),
        (pod({"image": ""}), f"{MAIN}.image", "Required value"),
        (pod({"imagePullPolicy": "Sometimes"}), f"{MAIN}.imagePullPolicy", '"IfNotPresent"'),
        (
            pod(containers=[{"name": "a", "image": "x"}, {"name": "a", "image": "x"}]),
            "spec.containers[1].name",
            'Duplicate value: "a"',
        ),
        (
            pod(initContainers=[{"name": "main", "image": "x"}]),
            "spec.containers[0].name",
            "Duplicate value",
        ),
        (
            pod({"ports": [{"containerPort": 70000}]}),
            f"{MAIN}.ports[0].containerPort",
            "must be between 1 and 65535",
        ),
        (
            pod({"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]}),
            f"{MAIN}.ports[1].name",
            "Duplicate value",
        ),
        (pod({"env": [{"name": "9A"}]}), f"{MAIN}.env[0].name", "environment variable"),
        (pod({"env": [{"name": ""}]}), f"{MAIN}.env[0].name", "Required value"),
        (
            pod({"env": [{"name": "A", "valueFrom": {}}]}),
            f"{MAIN}.env[0].valueFrom",
            "must specify one of",
        ),
        (
            pod({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}),
            f"{MAIN}.env[0].valueFrom.fieldRef.fieldPath",
            "Unsupported value",
        ),
        (
            pod({"volumeMounts": [{"name": "v", "mountPath": "/x"}]}),
            f"{MAIN}.volumeMounts[0].name",
            'Not found: "v"',
        ),
        (
            pod({"volumeMounts": [{"name": "v", "mountPath": "/a:b"}]}, volumes=[{"name": "v"}]),
            f"{MAIN}.volumeMounts[0].mountPath",
            "must not contain ':'",
        ),
        (
            pod(
                {"volumeMounts": [{"name": "v", "mountPath": "/a"}] * 2},
                volumes=[{"name": "v"}],
            ),
            f"{MAIN}.volumeMounts[1].mountPath",
            "must be unique",
        ),
        (
            pod(
                {"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "../x"}]},
                volumes=[{"name": "v"}],
            ),
            f"{MAIN}.volumeMounts[0].subPath",
            "must not contain '..'",
        ),
        (
            pod({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}}),
            f"{MAIN}.resources.requests",
            "must be less than or equal to cpu limit of 1",
        ),
        (
            pod({"resources": {"requests": {"cpu": "one"}}}),
            f"{MAIN}.resources.requests[cpu]",
            "invalid quantity",
        ),
        (
            pod({"resources": {"requests": {"memory": "-1"}}}),
            f"{MAIN}.resources.requests[memory]",
            "must be greater than or equal to 0",
        ),
        (
            pod({"resources": {"requests": {"gpu": "1"}}}),
            f"{MAIN}.resources.requests[gpu]",
            "fully qualified",
        ),
        (
            pod(
                {"resources": {"limits": {"nvidia.com/gpu": 2}, "requests": {"nvidia.com/gpu": 1}}}
            ),
            f"{MAIN}.resources.requests",
            "must be equal to nvidia.com/gpu limit",
        ),
        (
            pod({"livenessProbe": {"periodSeconds": 3}}),
            f"{MAIN}.livenessProbe",
            "must specify a handler type",
        ),
        (
            pod({"livenessProbe": {"tcpSocket": {"port": 1}, "exec": {"command": ["x"]}}}),
            f"{MAIN}.livenessProbe.tcpSocket",
            "may not specify more than 1 handler type",
        ),
        (
            pod({"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}}),
            f"{MAIN}.livenessProbe.successThreshold",
            "must be 1",
        ),
        (pod(restartPolicy="Often"), "spec.restartPolicy", '"OnFailure"'),
        (
            pod(initContainers=[{"name": "i", "image": "x", "restartPolicy": "Sure"}]),
            "spec.initContainers[0].restartPolicy",
            "Unsupported value",
        ),
        (
            pod(
                initContainers=[
                    {"name": "i", "image": "x", "readinessProbe": {"tcpSocket": {"port": 1}}}
                ]
            ),
            "spec.initContainers[0].readinessProbe",
            "without restartPolicy=Always",
        ),
        (pod(volumes=[{"name": "v"}] * 2), "spec.volumes[1].name", "Duplicate value"),
        (
            pod(volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]),
            "spec.volumes[0].hostPath",
            "may not specify more than 1 volume type",
        ),
        (
            pod(volumes=[{"name": "v", "hostPath": {"path": "/a/../b"}}]),
            "spec.volumes[0].hostPath.path",
            "must not contain '..'",
        ),
        (
            pod(
                volumes=[
                    {
                        "name": "v",
                        "projected": {
                            "sources": [
                                {
                                    "configMap": {
                                        "name": "c",
                                        "items": [{"key": "k", "path": "../../x"}],
                                    }
                                }
                            ]
                        },
                    }
                ]
            ),
            "spec.volumes[0].projected.sources[0].configMap.items[0].path",
            "must not contain '..'",
        ),
        (
            pod(volumes=[{"name": "v", "persistentVolumeClaim": {}}]),
            "spec.volumes[0].persistentVolumeClaim.claimName",
            "Required value",
        ),
        (pod(activeDeadlineSeconds=0), "spec.activeDeadlineSeconds", "must be between 1"),
        (pod(dnsPolicy="Mine"), "spec.dnsPolicy", "ClusterFirst"),
        (pod(nodeSelector={"a b": "c"}), "spec.nodeSelector", "name part"),
        (
            pod(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
            "spec.tolerations[0].operator",
            "value must be empty",
        ),
        (pod(hostname="A_b"), "spec.hostname", "RFC 1123 label"),
    ],
)
async def test_refused_pods_name_the_field(writer, obj, field, text):
    _, found = writer.create(kinds.PODS, obj)
    assert [cause.field for cause in found] == [field]
    assert text in found[0].message


async def test_sidecar_may_have_probes(writer):
    sidecar = {
        "name": "i",
        "image": "x",
        "restartPolicy": "Always",
        "readinessProbe": {"tcpSocket": {"port": 1}},
    }
    writer.good(kinds.PODS, pod(initContainers=[sidecar]))


async def test_images_deadlines_and_tolerations_may_change(writer):
    old = writer.good(kinds.PODS, POD)
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["image"] = "python:3.13"
    new["spec"]["activeDeadlineSeconds"] = 5
    new["spec"]["tolerations"].append({"key": "a", "operator": "Exists"})
    _, found = writer.update(kinds.PODS, new, old)
    assert found == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"containers": []}, "spec.containers"),
        ({"nodeName": "other"}, "spec"),
        ({"restartPolicy": "Never"}, "spec"),
        ({"tolerations": [{"operator": "Exists"}]}, "spec.tolerations"),
        ({"schedulingGates": [{"name": "a"}]}, "spec.schedulingGates"),
        ({"terminationGracePeriodSeconds": 3}, "spec"),
    ],
)
async def test_the_rest_of_a_pod_is_immutable(writer, change, field):
    old = writer.good(kinds.PODS, POD)
    new = copy.deepcopy(old)
    new["spec"].update(change)
    _, found = writer.update(kinds.PODS, new, old)
    assert [cause.field for cause in found] == [field]


async def test_replacing_by_a_manifest_keeps_what_admission_set(writer):
    old = writer.good(kinds.PODS, POD)
    new = copy.deepcopy(old)
    for field in ("priority", "preemptionPolicy", "tolerations"):
        del new["spec"][field]
    made, found = writer.update(kinds.PODS, new, old)
    assert (made["spec"]["priority"], found) == (0, [])
    assert made["spec"]["tolerations"] == old["spec"]["tolerations"]


async def test_ephemeral_containers_are_only_added(writer):
    old = writer.good(kinds.PODS, POD)
    debug = {"name": "debug", "image": "busybox"}
    new = copy.deepcopy(old) | {"spec": {**old["spec"], "ephemeralContainers": [debug]}}
    made, found = writer.update(kinds.PODS, new, old, subresource="ephemeralcontainers")
    assert found == []
    assert made["spec"]["ephemeralContainers"][0]["name"] == "debug"
    _, found = writer.update(kinds.PODS, old, made, subresource="ephemeralcontainers")
    assert "may not be removed" in found[0].message
    kept, found = writer.update(kinds.PODS, old, made)
    assert (found, kept["spec"]) == ([], made["spec"])


async def test_grace_follows_spec_options_and_state(writer):
    grace = writer.strategy(kinds.PODS).graceful_deletion_seconds
    obj = writer.good(kinds.PODS, POD)
    assert grace(obj, {}) == 0
    obj["spec"]["nodeName"] = "here"
    assert grace(obj, {}) == 30
    assert grace(obj, {"gracePeriodSeconds": 0}) == 0
    assert grace(obj, {"gracePeriodSeconds": 7}) == 7
    obj["status"]["phase"] = "Succeeded"
    assert grace(obj, {}) == 0


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"nvidia.com/gpu": "1"}}, "BestEffort"),
    ],
)
async def test_quality_of_service(writer, resources, qos):
    made = writer.good(kinds.PODS, pod({"resources": resources}))
    assert made["status"]["qosClass"] == qos


async def test_warnings(writer):
    obj = pod(
        {
            "resources": {"limits": {"memory": "100m"}},
            "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        },
        nodeSelector={"beta.kubernetes.io/os": "linux"},
    )
    found = writer.strategy(kinds.PODS).warnings(writer.default(kinds.PODS, obj))
    assert any("fractional byte value" in text for text in found)
    assert any("hides previous definition" in text for text in found)
    assert any('use "kubernetes.io/os" instead' in text for text in found)


async def test_selectable_fields_are_complete(writer):
    fields = writer.strategy(kinds.PODS).selectable_fields(writer.good(kinds.PODS, POD))
    assert fields == {
        "spec.nodeName": "",
        "spec.restartPolicy": "Always",
        "spec.schedulerName": "default-scheduler",
        "spec.serviceAccountName": "default",
        "spec.hostNetwork": "false",
        "status.phase": "Pending",
        "status.podIP": "",
        "status.nominatedNodeName": "",
    }


_amount = st.sampled_from(["1", "500m", "0.5", "1024Mi", 2, "1e3"])
_resources = st.fixed_dictionaries(
    {},
    optional={
        k: st.dictionaries(st.sampled_from(["cpu", "memory"]), _amount)
        for k in ("limits", "requests")
    },
)
_probe = st.fixed_dictionaries(
    {"httpGet": st.fixed_dictionaries({"port": st.integers(1, 99)})},
    optional={"timeoutSeconds": st.integers(0, 9), "failureThreshold": st.integers(0, 3)},
)
_container = st.fixed_dictionaries(
    {"name": st.sampled_from("abc"), "image": st.sampled_from(["x", "x:1", "y@sha256:1"])},
    optional={
        "resources": _resources,
        "livenessProbe": _probe,
        "ports": st.lists(st.fixed_dictionaries({"containerPort": st.integers(1, 9)}), max_size=2),
        "env": st.just([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}]),
    },
)
_volume = st.sampled_from(
    [{"name": "v"}, {"name": "w", "secret": {"secretName": "s"}}, {"name": "x", "hostPath": {}}]
)
_spec = st.fixed_dictionaries(
    {"containers": st.lists(_container, min_size=1, max_size=3)},
    optional={
        "initContainers": st.lists(_container, max_size=2),
        "volumes": st.lists(_volume, max_size=2),
        "hostNetwork": st.booleans(),
        "serviceAccount": st.just("robot"),
        "overhead": st.just({"cpu": "0.25"}),
    },
)


@given(spec=_spec)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_defaulting_twice_changes_nothing(spec):
    spec = copy.deepcopy(spec)
    defaults.pod(spec)
    once = copy.deepcopy(spec)
    defaults.pod(spec)
    assert spec == once


@pytest.mark.slow
async def test_a_pod_takes_less_than_150_microseconds(writer):
    await writer.store(
        kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "default", "namespace": "default"}}
    )
    container = {
        "command": ["python", "-c", "pass"],
        "env": [{"name": f"V{n}", "value": "x"} for n in range(5)],
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    base = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "default", "uid": "u"},
        **pod(container, volumes=[{"name": "data", "emptyDir": {}}]),
    }
    strategy, context = writer.strategy(kinds.PODS), writer.context(kinds.PODS)
    copies = [copy.deepcopy(base) for _ in range(600)]
    times = []
    for obj in copies:
        began = time.perf_counter()
        strategy.default(obj)
        strategy.prepare_create(obj, context)
        assert strategy.validate(obj, None, context) == []
        times.append(time.perf_counter() - began)
    # The median: what others do on the machine is not what is measured.
    assert sorted(times)[300] < 150e-6
