"""The walk from an object to its cause, over objects in memory."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from wherry.cli.why.finding import Finding
from wherry.cli.why.inquiry import Report
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects import kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
RECENT = "2026-01-02T03:04:00Z"
BOATS = Resource("example.com", "v1", "boats", "Boat", singular="boat")
KNOWN = {
    (one.api_version, one.kind): one
    for one in (*kinds.BUILTIN, environment_kinds.ENVIRONMENTS, BOATS)
}

Explain = Callable[..., Any]


def make(kind: str, name: str, /, *, owner: Object | None = None, **fields: Any) -> Object:
    """Build a stored object in namespace default (or in none, for cluster-scoped kinds)."""
    resource = next(one for (_, each), one in KNOWN.items() if each == kind)
    meta: Object = {"name": name, "uid": f"{kind}-{name}", **fields.pop("metadata", {})}
    if resource.namespaced:
        meta.setdefault("namespace", "default")
    if owner is not None:
        meta["ownerReferences"] = [metadata.owner_reference(owner)]
    return {"apiVersion": resource.api_version, "kind": kind, "metadata": meta, **fields}


def event(
    obj: Object, reason: str, message: str, *, severity: str = "Warning", at: str = RECENT
) -> Object:
    involved = {"uid": metadata.uid(obj), "kind": obj["kind"], "name": metadata.name(obj)}
    name = f"{metadata.name(obj)}.{reason}"
    return make(
        "Event",
        name,
        involvedObject=involved,
        reason=reason,
        message=message,
        type=severity,
        lastTimestamp=at,
    )


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


NODE = make(
    "Node",
    "n1",
    status={
        "conditions": [condition("Ready", "True")],
        "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"},
    },
)
NAMESPACE = make("Namespace", "default", spec={"finalizers": ["kubernetes"]})
PYTHON = make(
    "Environment",
    "python",
    spec={"images": ["python:*"]},
    status={"conditions": [condition("Ready", "True")], "python": "3.11.7"},
)
WORLD = (NODE, NAMESPACE, PYTHON)


def pod(name: str = "web", /, *, state: Object | None = None, **fields: Any) -> Object:
    """Build a pod on the node whose only container is in a state."""
    spec: Object = {
        "nodeName": "n1",
        "containers": [{"name": "main", "image": "python:3", **fields.pop("container", {})}],
        **fields.pop("spec", {}),
    }
    status = {"name": "main", "state": state or {}, "restartCount": 0, **fields.pop("told", {})}
    whole = {"phase": "Pending", "containerStatuses": [status], **fields.pop("status", {})}
    return make("Pod", name, spec=spec, status=whole, **fields)


READY: Object = {"phase": "Running", "conditions": [condition("Ready", "True")]}


def running(name: str = "web", /, **fields: Any) -> Object:
    return pod(
        name, state={"running": {}}, told={"ready": True, "started": True}, status=READY, **fields
    )


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def last(report: Report) -> Finding:
    """Return the deepest finding of the first branch."""
    found: Finding = report.finding
    while found.causes:
        found = found.causes[0]
    return found


def chain(report: Report) -> list[str]:
    found: Finding | None = report.finding
    names = []
    while found is not None:
        names.append(found.object)
        found = found.causes[0] if found.causes else None
    return names


# Pods


async def test_a_ready_pod_is_fine(explain: Explain) -> None:
    report = await explain(kinds.PODS, "web", running(), *WORLD)
    assert not report.finding.holds_back
    assert report.looked_at == ("pod/web", "node/n1")


async def test_unknown_image_says_how_to_add_an_environment(explain: Explain) -> None:
    state = waiting("ImagePullBackOff", "no Environment covers it")
    held = pod(state=state, container={"image": "acme/Foo:1"})
    report = await explain(kinds.PODS, "web", held, *WORLD)
    assert chain(report) == ["pod/web", "image acme/Foo:1"]
    found = last(report)
    assert found.statement == "is covered by no Environment"
    assert found.evidence == ("Environments there are: python (python:*)",)
    assert 'images: ["acme/Foo:1"]' in found.mend
    assert "metadata: {name: foo-1}" in found.mend


async def test_an_environment_that_cannot_be_built(explain: Explain) -> None:
    message = "Because numpi was not found in the package registry\nhint: check the spelling"
    failed = [condition("Ready", "False", "BuildFailed", message)]
    bad = make("Environment", "bad", spec={"images": ["acme/*"]}, status={"conditions": failed})
    held = pod(state=waiting("ErrImagePull"), container={"image": "acme/foo"})
    report = await explain(kinds.PODS, "web", held, bad, *WORLD)
    assert chain(report)[-1] == "environment/bad"
    assert last(report).evidence == ("Because numpi was not found in the package registry",)
    assert last(report).mend.startswith(
        "check the spelling; then change it: kubectl edit environment/bad"
    )


async def test_an_environment_that_is_being_built_is_waited_for(explain: Explain) -> None:
    building = [
        condition("Ready", "False", "Building"),
        condition("Building", "True", "Building", "numpy"),
    ]
    slow = make("Environment", "slow", spec={"images": ["slow"]}, status={"conditions": building})
    held = pod(state=waiting("ContainerCreating"), container={"image": "slow"})
    report = await explain(kinds.PODS, "web", held, slow, *WORLD)
    assert report.finding.state == "waiting"
    assert last(report).statement == "is being built: numpy"


NO_FOLDER = (
    "mount /a/b: the folder /a does not exist on the host; it runs without a mount namespace"
)
CRASHES = [
    (
        1,
        "Error",
        ["ModuleNotFoundError: No module named 'torch'"],
        "that holds torch to spec.requirements",
    ),
    (1, "Error", ["OSError: [Errno 98] Address already in use"], "choose another port"),
    (1, "Error", ["boom"], "the end of its log says why"),
    (2, "Error", ["train.py: error: unrecognized arguments: --lr"], "remove the arguments --lr"),
    (127, "Error", [], "was not found"),
    (128, "StartError", ["mount /a: no"], "mend the volumeMounts"),
    (128, "StartError", [NO_FOLDER], "make /a on this machine"),
    (137, "OOMKilled", [], "raise resources.limits.memory"),
    (139, "Error", [], "segmentation fault"),
    (0, "Completed", [], "use a command that stays, or a Job"),
]


@pytest.mark.parametrize(("code", "reason", "log", "mend"), CRASHES)
async def test_crash_loops(
    explain: Explain, code: int, reason: str, log: list[str], mend: str
) -> None:
    ended = {"terminated": {"exitCode": code, "reason": reason}}
    told = {"restartCount": 3, "lastState": ended}
    held = pod(state=waiting("CrashLoopBackOff"), told=told, status={"phase": "Running"})
    logs = {("web", "previous:main"): log}
    found = last(await explain(kinds.PODS, "web", held, *WORLD, logs=logs))
    assert f"ended with exit code {code}" in found.statement
    assert "3 times" in found.statement
    assert set(log) <= set(found.evidence)
    assert mend in found.mend


async def test_what_does_not_fit(explain: Explain) -> None:
    message = "0/1 nodes are available: 1 Insufficient cpu."
    unplaced = {
        "phase": "Pending",
        "conditions": [condition("PodScheduled", "False", "Unschedulable", message)],
    }
    asks = {"resources": {"requests": {"cpu": "4", "memory": "1Gi"}}}
    held = pod(spec={"nodeName": ""}, container=asks, status=unplaced)
    other = running("other", container={"resources": {"requests": {"cpu": "500m"}}})
    found = (await explain(kinds.PODS, "web", held, other, *WORLD)).finding
    assert found.statement == "is placed on no node"
    assert found.evidence == (
        message,
        "it asks for 4 cpu",
        "node n1 has 2 cpu (0.5 requested by others)",
    )
    assert "resources.requests" in found.mend


async def test_a_node_selector_that_no_node_has(explain: Explain) -> None:
    message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    unplaced = {"conditions": [condition("PodScheduled", "False", "Unschedulable", message)]}
    held = pod(spec={"nodeName": "", "nodeSelector": {"gpu": "a100"}}, status=unplaced)
    assert "(gpu=a100)" in (await explain(kinds.PODS, "web", held, *WORLD)).finding.mend


async def test_no_node_at_all(explain: Explain) -> None:
    found = (await explain(kinds.PODS, "web", pod(spec={"nodeName": ""}), NAMESPACE)).finding
    assert found.statement == "has no node: none is registered"


async def test_a_node_that_is_not_ready(explain: Explain) -> None:
    lost = [condition("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting")]
    node = make("Node", "n1", status={"conditions": lost})
    report = await explain(kinds.PODS, "web", running(), node, NAMESPACE)
    assert chain(report) == ["pod/web", "node/n1"]


REFERENCES: list[tuple[Object, Object, str]] = [
    ({"envFrom": [{"configMapRef": {"name": "setting"}}]}, {}, "configmap/setting"),
    (
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        {},
        "secret/s",
    ),
    ({}, {"volumes": [{"name": "v", "configMap": {"name": "gone"}}]}, "configmap/gone"),
    ({}, {"volumes": [{"name": "v", "secret": {"secretName": "gone"}}]}, "secret/gone"),
    (
        {},
        {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "gone"}}]}}]},
        "secret/gone",
    ),
    (
        {},
        {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "gone"}}]},
        "persistentvolumeclaim/gone",
    ),
]


@pytest.mark.parametrize(("container", "spec", "missing"), REFERENCES)
async def test_what_a_pod_refers_to_is_missing(
    explain: Explain, container: Object, spec: Object, missing: str
) -> None:
    held = pod(state=waiting("CreateContainerConfigError"), container=container, spec=spec)
    settings = make("ConfigMap", "settings", data={"a": "1"})
    report = await explain(kinds.PODS, "web", held, settings, *WORLD)
    assert last(report).object == missing
    assert last(report).statement == "does not exist in namespace default"
    assert ("did you mean settings?" in last(report).mend) is (missing == "configmap/setting")


async def test_optional_references_may_be_missing(explain: Explain) -> None:
    container = {"envFrom": [{"configMapRef": {"name": "gone", "optional": True}}]}
    held = pod(state=waiting("ContainerCreating"), container=container)
    report = await explain(kinds.PODS, "web", held, *WORLD)
    assert "gone" not in str(report.finding.to_dict())


async def test_a_key_that_is_missing(explain: Explain) -> None:
    key = {"configMapKeyRef": {"name": "settings", "key": "b"}}
    held = pod(
        state=waiting("CreateContainerConfigError"),
        container={"env": [{"name": "B", "valueFrom": key}]},
    )
    settings = make("ConfigMap", "settings", data={"a": "1"})
    found = last(await explain(kinds.PODS, "web", held, settings, *WORLD))
    assert (found.object, found.statement) == ("configmap/settings", "has no key b")
    assert "its keys: a" in found.evidence


async def test_an_init_container_that_is_not_done(explain: Explain) -> None:
    init = {"name": "prepare", "state": {"running": {}}}
    held = pod(
        state=waiting("PodInitializing"),
        spec={"initContainers": [{"name": "prepare", "image": "python:3"}]},
        status={"initContainerStatuses": [init]},
    )
    found = last(await explain(kinds.PODS, "web", held, *WORLD))
    assert (found.object, found.state) == ("init container prepare", "waiting")


async def test_a_probe_that_fails(explain: Explain) -> None:
    probe = {"readinessProbe": {"httpGet": {"path": "/ok", "port": 80}}}
    held = pod(
        state={"running": {}}, told={"started": True}, container=probe, status={"phase": "Running"}
    )
    unhealthy = event(held, "Unhealthy", "Readiness probe failed: connection refused")
    found = last(await explain(kinds.PODS, "web", held, unhealthy, *WORLD))
    assert "GET /ok on port 80" in found.statement
    assert found.evidence == ("Readiness probe failed: connection refused",)


async def test_a_pod_in_deletion_names_its_finalizers(explain: Explain) -> None:
    going = running(metadata={"deletionTimestamp": RECENT, "finalizers": ["example.com/slow"]})
    found = (await explain(kinds.PODS, "web", going, *WORLD)).finding
    assert "held by the finalizers example.com/slow" in found.statement
    assert "kubectl patch pod/web" in found.mend


# Workloads


def deployment(*, replicas: int = 2, **fields: Any) -> Object:
    return make(
        "Deployment", "web", spec={"replicas": replicas}, status=fields.pop("status", {}), **fields
    )


async def test_from_a_deployment_down_to_the_container(explain: Explain) -> None:
    top = deployment()
    old = make("ReplicaSet", "web-1", owner=top, spec={"replicas": 0})
    new = make("ReplicaSet", "web-2", owner=top, spec={"replicas": 2})
    new["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "2"}
    state = waiting("ImagePullBackOff", "no Environment covers it")
    pods = [pod(name, owner=new, state=state, container={"image": "x"}) for name in ("a", "b")]
    report = await explain(kinds.DEPLOYMENTS, "web", top, old, new, *pods, *WORLD)
    assert chain(report) == ["deployment/web", "replicaset/web-2", "pod/a", "image x"]
    assert report.finding.statement == "0 of 2 pods are available, 0 of the newest revision"
    assert report.finding.causes[0].causes[0].statement.endswith("(and 1 more alike)")


async def test_well_deployments(explain: Explain) -> None:
    good = deployment(status={"availableReplicas": 2, "updatedReplicas": 2})
    assert not (await explain(kinds.DEPLOYMENTS, "web", good, *WORLD)).finding.holds_back
    found = (await explain(kinds.DEPLOYMENTS, "web", deployment(replicas=0), *WORLD)).finding
    assert found.statement == "is scaled to 0, so it has no pods"
    paused = deployment()
    paused["spec"]["paused"] = True
    found = (await explain(kinds.DEPLOYMENTS, "web", paused, *WORLD)).finding
    assert found.mend == "kubectl rollout resume deployment/web"


async def test_quota_refuses_pods(explain: Explain) -> None:
    few = make("ReplicaSet", "web", spec={"replicas": 1})
    message = 'Error creating: pods "web-x" is forbidden: exceeded quota: small, requested: pods=1'
    report = await explain(
        kinds.REPLICA_SETS, "web", few, event(few, "FailedCreate", message), *WORLD
    )
    assert last(report).object == "resourcequota/small"
    assert "spec.hard" in last(report).mend


async def test_a_missing_service_account_refuses_pods(explain: Explain) -> None:
    few = make("StatefulSet", "web", spec={"replicas": 1})
    message = 'pods "web-0" is forbidden: error looking up service account: serviceaccount "robot" not found'
    report = await explain(
        kinds.STATEFUL_SETS, "web", few, event(few, "FailedCreate", message), *WORLD
    )
    assert (last(report).object, last(report).statement) == (
        "serviceaccount/robot",
        "does not exist",
    )


# Jobs


async def test_a_failed_job_shows_the_pod_that_failed(explain: Explain) -> None:
    failed = condition(
        "Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    )
    job = make("Job", "train", spec={}, status={"conditions": [failed]})
    child = pod(
        "train-x",
        owner=job,
        state={"terminated": {"exitCode": 1, "reason": "Error"}},
        spec={"restartPolicy": "Never"},
        status={"phase": "Failed"},
    )
    logs = {("train-x", "main"): ["KeyError: 'DATA_URL'"]}
    report = await explain(kinds.JOBS, "train", job, child, *WORLD, logs=logs)
    assert chain(report) == ["job/train", "pod/train-x", "container main"]
    assert last(report).mend == "is the variable DATA_URL missing in env?"
    assert "delete the job" in report.finding.mend


async def test_jobs_that_rest_work_or_are_done(explain: Explain) -> None:
    suspended = make("Job", "a", spec={"suspend": True})
    assert "suspend" in (await explain(kinds.JOBS, "a", suspended, *WORLD)).finding.mend
    done = make(
        "Job", "a", spec={}, status={"conditions": [condition("Complete", "True")], "succeeded": 1}
    )
    assert not (await explain(kinds.JOBS, "a", done, *WORLD)).finding.holds_back
    busy = make("Job", "a", spec={"completions": 3}, status={"succeeded": 1})
    report = await explain(kinds.JOBS, "a", busy, running("a-x", owner=busy), *WORLD)
    assert report.finding.statement == "is at work, 1 pod running: 1 of 3 pods have succeeded"


async def test_cron_jobs(explain: Explain) -> None:
    cron = make("CronJob", "nightly", spec={"schedule": "0 3 * * *"})
    assert not (await explain(kinds.CRON_JOBS, "nightly", cron, *WORLD)).finding.holds_back
    failed = condition("Failed", "True", "DeadlineExceeded")
    job = make("Job", "nightly-1", owner=cron, spec={}, status={"conditions": [failed]})
    report = await explain(kinds.CRON_JOBS, "nightly", cron, job, *WORLD)
    assert chain(report) == ["cronjob/nightly", "job/nightly-1"]


# Services, claims and the rest


def service(**spec: Any) -> Object:
    return make("Service", "web", spec={"selector": {"app": "web"}, **spec})


async def test_a_selector_that_chooses_nothing(explain: Explain) -> None:
    other = running(metadata={"labels": {"app": "wep"}})
    found = (await explain(kinds.SERVICES, "web", service(), other, *WORLD)).finding
    assert "chooses none of the 1 pod of namespace default" in found.statement
    assert found.evidence == ("it wants app=web; on the pods, label app is wep",)


async def test_pods_behind_a_service_that_are_not_ready(explain: Explain) -> None:
    held = pod(state=waiting("ContainerCreating"), metadata={"labels": {"app": "web"}})
    report = await explain(kinds.SERVICES, "web", service(), held, *WORLD)
    assert chain(report) == ["service/web", "pod/web", "container main"]


async def test_a_port_by_a_name_that_no_container_has(explain: Explain) -> None:
    ready = running(metadata={"labels": {"app": "web"}}, container={"ports": [{"name": "http"}]})
    named = service(ports=[{"port": 80, "targetPort": "htpp"}])
    found = (await explain(kinds.SERVICES, "web", named, ready, *WORLD)).finding
    assert "'htpp', which no pod has" in found.statement
    right = service(ports=[{"port": 80, "targetPort": "http"}])
    assert not (await explain(kinds.SERVICES, "web", right, ready, *WORLD)).finding.holds_back


async def test_claims(explain: Explain) -> None:
    standard = make(
        "StorageClass",
        "standard",
        provisioner="wherry.dev/local",
        volumeBindingMode="WaitForFirstConsumer",
    )
    unknown = make(
        "PersistentVolumeClaim",
        "data",
        spec={"storageClassName": "standrad"},
        status={"phase": "Pending"},
    )
    found = (await explain(kinds.PERSISTENT_VOLUME_CLAIMS, "data", unknown, standard)).finding
    assert found.statement == "wants storageclass/standrad, which does not exist"
    assert "did you mean standard?" in found.mend
    unset = make("PersistentVolumeClaim", "data", spec={})
    found = (await explain(kinds.PERSISTENT_VOLUME_CLAIMS, "data", unset, standard)).finding
    assert found.mend == "set spec.storageClassName; there are: standard"
    first = make("PersistentVolumeClaim", "data", spec={"storageClassName": "standard"})
    found = (await explain(kinds.PERSISTENT_VOLUME_CLAIMS, "data", first, standard)).finding
    assert found.mend == "nothing is wrong: create the pod"
    bound = make(
        "PersistentVolumeClaim", "data", spec={"volumeName": "v"}, status={"phase": "Bound"}
    )
    assert not (await explain(kinds.PERSISTENT_VOLUME_CLAIMS, "data", bound)).finding.holds_back


async def test_a_claim_in_deletion_names_its_user(explain: Explain) -> None:
    fields = {"deletionTimestamp": RECENT, "finalizers": ["kubernetes.io/pvc-protection"]}
    going = make("PersistentVolumeClaim", "data", metadata=fields, spec={})
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    report = await explain(
        kinds.PERSISTENT_VOLUME_CLAIMS, "data", going, running(spec={"volumes": volumes}), *WORLD
    )
    assert (last(report).object, last(report).statement) == ("pod/web", "uses it")


async def test_a_pod_waits_for_its_claim(explain: Explain) -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    message = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    unplaced = {"conditions": [condition("PodScheduled", "False", "Unschedulable", message)]}
    held = pod(spec={"nodeName": "", "volumes": volumes}, status=unplaced)
    claim = make("PersistentVolumeClaim", "data", spec={"storageClassName": "fast"})
    report = await explain(kinds.PODS, "web", held, claim, *WORLD)
    assert chain(report) == ["pod/web", "persistentvolumeclaim/data"]
    report = await explain(kinds.PODS, "web", held, *WORLD)
    assert last(report).statement == "does not exist in namespace default"


async def test_a_namespace_that_does_not_go(explain: Explain) -> None:
    remaining = condition("NamespaceContentRemaining", "True", "SomeResourcesRemain", "pods has 1")
    going = make(
        "Namespace",
        "default",
        metadata={"deletionTimestamp": RECENT},
        spec={"finalizers": ["kubernetes"]},
        status={"phase": "Terminating", "conditions": [remaining]},
    )
    found = (await explain(kinds.NAMESPACES, "default", going)).finding
    assert found.evidence == ("pods has 1",)
    few = make("ReplicaSet", "web", spec={"replicas": 1})
    report = await explain(kinds.REPLICA_SETS, "web", few, going, NODE)
    assert "namespace/default" in chain(report)


async def test_definitions(explain: Explain) -> None:
    taken = [condition("NamesAccepted", "False", "KindConflict", '"Boat" is already in use')]
    definition = make(
        "CustomResourceDefinition", "boats.example.com", spec={}, status={"conditions": taken}
    )
    found = (
        await explain(kinds.CUSTOM_RESOURCE_DEFINITIONS, "boats.example.com", definition)
    ).finding
    assert found.evidence == ('"Boat" is already in use',)
    assert found.mend


async def test_a_definition_in_deletion_names_what_is_left_of_its_kind(explain: Explain) -> None:
    held = {"deletionTimestamp": RECENT, "finalizers": ["example.com/anchor"]}
    boat = make("Boat", "flying-dutchman", metadata=held)
    cleanup = "customresourcecleanup.apiextensions.k8s.io"
    definition = make(
        "CustomResourceDefinition",
        "boats.example.com",
        metadata={"deletionTimestamp": RECENT, "finalizers": [cleanup]},
        spec={
            "group": BOATS.group,
            "scope": "Namespaced",
            "names": {"plural": "boats", "kind": "Boat"},
            "versions": [{"name": "v1", "served": True}],
        },
    )
    kind = kinds.CUSTOM_RESOURCE_DEFINITIONS
    found = (await explain(kind, "boats.example.com", definition, boat, known=[BOATS])).finding
    left = found.causes[0]
    assert (found.mend, left.causes[0].object) == ("", "boat/flying-dutchman")
    assert "still has 1 object of kind Boat" in left.statement


async def test_kinds_that_nobody_knows(explain: Explain) -> None:
    boat = make(
        "Boat", "a", status={"conditions": [condition("Ready", "False", "NoOars", "find some")]}
    )
    child = pod("a-0", owner=boat, state=waiting("CrashLoopBackOff"))
    report = await explain(BOATS, "a", boat, child, *WORLD)
    assert report.finding.statement == "Ready is False: NoOars: find some"
    assert chain(report)[:2] == ["boat/a", "pod/a-0"]
    done = [
        condition("Succeeded", "True"),
        condition("Running", "False"),
        condition("Ready", "False"),
    ]
    well = make("Boat", "a", status={"conditions": done})
    assert not (
        await explain(BOATS, "a", well, event(well, "Slow", "no wind"), *WORLD)
    ).finding.holds_back
    warned = make("Boat", "a")
    found = (await explain(BOATS, "a", warned, event(warned, "Leak", "water"), *WORLD)).finding
    assert (found.state, found.evidence) == ("waiting", ("water",))
    old = event(warned, "Leak", "water", at="2026-01-01T00:00:00Z")
    assert not (await explain(BOATS, "a", warned, old, *WORLD)).finding.holds_back


async def test_what_does_not_exist(explain: Explain) -> None:
    report = await explain(kinds.PODS, "wbe", running("web"), *WORLD)
    assert report.finding.mend == "did you mean web?"
    assert report.looked_at == ()
    elsewhere = make("Pod", "api", metadata={"namespace": "prod"})
    found = (await explain(kinds.PODS, "api", elsewhere, *WORLD)).finding
    assert found.mend == "look there: wherry why pod/api -n prod"
    found = (await explain(kinds.PODS, "api", make("Namespace", "defaults"))).finding
    assert found.statement == "does not exist, nor does the namespace default"
    assert "did you mean -n defaults?" in found.mend


async def test_owners_in_a_circle_end(explain: Explain) -> None:
    first = make("Boat", "a")
    second = make("Boat", "b", owner=first)
    first["metadata"]["ownerReferences"] = [metadata.owner_reference(second)]
    report = await explain(BOATS, "a", first, second)
    assert not report.finding.holds_back


@pytest.mark.parametrize("resource", kinds.BUILTIN, ids=lambda one: one.key)
async def test_bare_objects_of_every_kind(explain: Explain, resource: Resource) -> None:
    """No field may be relied on that the API does not demand."""
    meta = {"name": "x", "uid": "u", **({"namespace": "default"} if resource.namespaced else {})}
    obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta}
    if resource.kind == "Pod":
        obj["spec"] = {"containers": [{"name": "c", "image": "i"}]}
    report = await explain(resource, "x", obj, *WORLD)
    assert report.finding.statement
