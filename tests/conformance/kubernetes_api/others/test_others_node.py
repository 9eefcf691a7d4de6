"""Kinds of the node's side, as far as the API goes."""

import functools

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-node")

TEMPLATES = kinds.POD_TEMPLATES


@case(name="Lease lease API should be available")
def test_leases(api, namespace):
    made = {
        "metadata": {"name": "lease"},
        "spec": {
            "holderIdentity": "holder",
            "leaseDurationSeconds": 30,
            "acquireTime": "2026-01-02T03:04:05.000006Z",
            "renewTime": "2026-01-02T03:04:06.000006Z",
            "leaseTransitions": 0,
        },
    }
    api.create(kinds.LEASES, made, namespace)
    assert api.get(kinds.LEASES, "lease", namespace)["spec"] == made["spec"]

    def renew(lease):
        lease["spec"].update(holderIdentity="holder2", leaseTransitions=1)

    api.change(kinds.LEASES, "lease", renew, namespace)
    assert api.get(kinds.LEASES, "lease", namespace)["spec"]["leaseTransitions"] == 1
    api.patch(kinds.LEASES, "lease", {"spec": {"holderIdentity": "holder3"}}, namespace)
    assert api.get(kinds.LEASES, "lease", namespace)["spec"]["holderIdentity"] == "holder3"
    second = {"metadata": {"name": "second", "labels": {"deletecollection": "true"}}}
    api.create(kinds.LEASES, second, namespace)
    assert api.names(kinds.LEASES, namespace) == ["lease", "second"]
    api.delete_collection(kinds.LEASES, namespace, labelSelector="deletecollection=true")
    eventually(lambda: api.names(kinds.LEASES, namespace) == ["lease"])
    api.delete(kinds.LEASES, "lease", namespace)
    assert api.find(kinds.LEASES, "lease", namespace) is None


@case(name="Node Lifecycle should run through the lifecycle of a node")
def test_nodes(api, unique):
    made = {"metadata": {"name": unique}, "spec": {"unschedulable": True}}
    api.create(kinds.NODES, made)
    assert api.get(kinds.NODES, unique)["metadata"]["name"] == unique
    api.patch(kinds.NODES, unique, {"metadata": {"labels": {unique: "patched"}}})
    assert api.names(kinds.NODES, labelSelector=f"{unique}=patched") == [unique]

    def label(node):
        node["metadata"]["labels"][unique] = "updated"

    assert api.change(kinds.NODES, unique, label)["metadata"]["labels"][unique] == "updated"
    api.delete(kinds.NODES, unique)
    api.wait_gone(kinds.NODES, unique)


def _template(name, **labels):
    container = {"name": "nginx", "image": "nginx"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"metadata": {"name": name, "labels": labels}, "template": template}


@case(name="PodTemplates should run the lifecycle of PodTemplates")
def test_pod_templates(supports_operations, namespace):
    supports_operations(TEMPLATES, [_template("one"), _template("two")], namespace)


@case(name="PodTemplates should delete a collection of pod templates")
def test_pod_templates_go_together(api, namespace):
    for number in range(3):
        api.create(TEMPLATES, _template(f"t-{number}", set="one"), namespace)
    assert len(api.names(TEMPLATES, namespace, labelSelector="set=one")) == 3
    api.delete_collection(TEMPLATES, namespace, labelSelector="set=one")
    eventually(lambda: api.names(TEMPLATES, namespace) == [])


@case(name="PodTemplates should replace a pod template")
def test_a_pod_template_is_replaced(api, namespace):
    api.create(TEMPLATES, _template("t"), namespace)
    replaced = api.annotate(TEMPLATES, "t", namespace, updated="true")
    assert replaced["metadata"]["annotations"] == {"updated": "true"}
    assert (
        api.get(TEMPLATES, "t", namespace)["template"]["spec"]["containers"][0]["name"] == "nginx"
    )


@case(name="RuntimeClass should support RuntimeClasses API operations")
def test_runtime_classes(supports_operations, unique):
    made = [{"metadata": {"name": f"{unique}-{n}"}, "handler": "some"} for n in range(3)]
    supports_operations(kinds.RUNTIME_CLASSES, made)


@case(name="RuntimeClass should reject a Pod requesting a non-existent RuntimeClass")
def test_a_runtime_class_that_is_not_there(api, namespace, refused):
    with refused(403, "Forbidden", "not found"):
        api.create(kinds.PODS, builders.pod("p", runtimeClassName="nonexistent"), namespace)


@pytest.fixture
def runtime_class(api, unique, cleanup):
    """Give what makes one."""

    def make(**fields):
        api.create(
            kinds.RUNTIME_CLASSES, {"metadata": {"name": unique}, "handler": "some", **fields}
        )
        cleanup.callback(_remove, api, unique)
        return unique

    return make


def _remove(api, name):
    if api.find(kinds.RUNTIME_CLASSES, name):
        api.delete(kinds.RUNTIME_CLASSES, name)


@case(name="RuntimeClass should reject a Pod requesting a deleted RuntimeClass")
def test_a_runtime_class_that_is_gone(api, namespace, runtime_class, refused):
    name = runtime_class()
    api.delete(kinds.RUNTIME_CLASSES, name)
    api.wait_gone(kinds.RUNTIME_CLASSES, name)
    with refused(403, "Forbidden", "not found"):
        api.create(kinds.PODS, builders.pod("p", runtimeClassName=name), namespace)


def _scheduled(api, namespace, **spec):
    made = api.create(kinds.PODS, builders.pod("p", **spec), namespace)
    eventually(lambda: api.get(kinds.PODS, "p", namespace)["spec"].get("nodeName"))
    return made


@case(name="RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead")
def test_a_runtime_class_is_scheduled(api, namespace, runtime_class):
    pod = _scheduled(api, namespace, runtimeClassName=runtime_class())
    assert "overhead" not in pod["spec"]


@case(
    name="RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead"
)
def test_a_runtime_class_has_overhead(api, namespace, runtime_class):
    fixed = {"cpu": "10m", "memory": "1Mi"}
    pod = _scheduled(api, namespace, runtimeClassName=runtime_class(overhead={"podFixed": fixed}))
    assert pod["spec"]["overhead"] == fixed


@case(name="ConfigMap should fail to create ConfigMap with empty key")
def test_a_config_map_with_an_empty_key(api, namespace, refused):
    with refused(422, "Invalid", "data"):
        made = {"metadata": {"name": "c"}, "data": {"": "value"}}
        api.create(kinds.CONFIG_MAPS, made, namespace)


@case(name="Secrets should fail to create secret due to empty secret key")
def test_a_secret_with_an_empty_key(api, namespace, refused):
    with refused(422, "Invalid", "data"):
        api.create(kinds.SECRETS, {"metadata": {"name": "s"}, "data": {"": "dg=="}}, namespace)


@case(name="ConfigMap should run through a ConfigMap lifecycle")
def test_config_maps(supports_operations, namespace):
    made = [{"metadata": {"name": f"c-{n}"}, "data": {"k": "v"}} for n in range(2)]
    supports_operations(kinds.CONFIG_MAPS, made, namespace)


@case(name="Secrets should patch a secret")
def test_secrets(api, namespace, unique):
    made = {"metadata": {"name": "s", "labels": {"case": unique}}, "data": {"key": "dmFsdWU="}}
    api.create(kinds.SECRETS, made, namespace)
    change = {"metadata": {"labels": {"patched": "true"}}, "data": {"key": "dmFsdWUx"}}
    api.patch(kinds.SECRETS, "s", change, namespace, type_="application/strategic-merge-patch+json")
    (found,) = api.items(kinds.SECRETS, labelSelector=f"patched=true,case={unique}")
    assert found["data"] == {"key": "dmFsdWUx"}
    api.delete_collection(kinds.SECRETS, namespace, labelSelector="patched=true")
    eventually(lambda: api.items(kinds.SECRETS, labelSelector=f"case={unique}") == [])


def _phase(api, namespace, name="p"):
    return api.get(kinds.PODS, name, namespace).get("status", {}).get("phase")


@case(
    name=(
        "Pods Extended Pods Set QOS Class should be set on Pods with matching resource "
        "requests and limits for memory and cpu"
    )
)
def test_the_class_of_a_pod(api, namespace):
    amounts = {"cpu": "100m", "memory": "100Mi"}
    container = builders.container(resources={"requests": amounts, "limits": amounts})
    pod = api.create(kinds.PODS, builders.pod("p", containers=[container]), namespace)
    assert pod["status"]["qosClass"] == "Guaranteed"


@case(name="Pods should get a host IP")
def test_a_pod_has_the_address_of_its_host(api, namespace):
    api.create(kinds.PODS, builders.pod("p"), namespace)
    eventually(lambda: api.get(kinds.PODS, "p", namespace)["status"].get("hostIP"))


@case(name="Pods should be submitted and removed")
def test_a_pod_comes_and_goes(api, namespace):
    with api.watch(kinds.PODS, namespace, labelSelector="name=foo") as watch:
        api.create(kinds.PODS, builders.pod("p", metadata={"labels": {"name": "foo"}}), namespace)
        assert watch.next()["type"] == "ADDED"
        eventually(lambda: _phase(api, namespace) == "Running")
        api.delete(kinds.PODS, "p", namespace)
        gone = watch.until_type("DELETED")["object"]
        assert gone["metadata"]["deletionTimestamp"]
    assert api.names(kinds.PODS, namespace, labelSelector="name=foo") == []


@case(name="Pods should be updated")
def test_a_pod_is_updated(api, namespace):
    api.create(kinds.PODS, builders.pod("p", metadata={"labels": {"time": "1"}}), namespace)

    def label(pod):
        pod["metadata"]["labels"]["time"] = "2"

    api.change(kinds.PODS, "p", label, namespace)
    assert api.names(kinds.PODS, namespace, labelSelector="time=2") == ["p"]


@case(name="Pods should delete a collection of pods")
def test_pods_go_together(api, namespace):
    for number in range(3):
        made = builders.pod(f"p-{number}", metadata={"labels": {"type": "Testing"}})
        api.create(kinds.PODS, made, namespace)
    assert len(api.names(kinds.PODS, namespace, labelSelector="type=Testing")) == 3
    api.delete_collection(kinds.PODS, namespace, labelSelector="type=Testing")
    eventually(lambda: api.names(kinds.PODS, namespace, labelSelector="type=Testing") == [])


@case(name="Pods should patch a pod status")
def test_the_status_of_a_pod_is_patched(api, namespace):
    api.create(kinds.PODS, builders.pod("p", nodeSelector={"no": "where"}), namespace)
    change = {"status": {"message": "Patched by e2e test", "reason": "E2E"}}
    patched = api.patch(kinds.PODS, "p", change, namespace, subresource="status")
    assert patched["status"].items() >= change["status"].items()


@case(name="Pods should run through the lifecycle of Pods and PodStatus")
def test_the_lifecycle_of_a_pod_and_its_status(api, namespace, unique):
    with api.watch(kinds.PODS, namespace, labelSelector=f"case={unique}") as watch:
        api.create(kinds.PODS, builders.pod("p", metadata={"labels": {"case": unique}}), namespace)
        watch.until(lambda event: event["object"]["status"].get("phase") == "Running")
        change = {"metadata": {"labels": {"patched": "true"}}}
        api.patch(kinds.PODS, "p", change, namespace)
        (found,) = api.items(kinds.PODS, labelSelector=f"case={unique},patched=true")
        assert found["metadata"]["name"] == "p"

        def unready(pod):
            for condition in pod["status"]["conditions"]:
                if condition["type"] == "Ready":
                    condition["status"] = "False"

        api.change(kinds.PODS, "p", unready, namespace, "status")
        watch.until(lambda event: _ready(event["object"]) == "False")
        api.delete_collection(kinds.PODS, namespace, labelSelector=f"case={unique}")
        watch.until_type("DELETED")


def _ready(pod):
    conditions = pod["status"].get("conditions", [])
    return next((one["status"] for one in conditions if one["type"] == "Ready"), "")


@case(name="Pods should allow activeDeadlineSeconds to be updated")
def test_a_deadline_is_set_later(api, namespace):
    api.create(kinds.PODS, builders.pod("p"), namespace)
    eventually(lambda: _phase(api, namespace) == "Running")

    def shorten(pod):
        pod["spec"]["activeDeadlineSeconds"] = 1

    api.change(kinds.PODS, "p", shorten, namespace)
    eventually(lambda: _phase(api, namespace) == "Failed")
    assert api.get(kinds.PODS, "p", namespace)["status"]["reason"] == "DeadlineExceeded"
