"""lightkube: typed objects, server-side apply, watches, logs, exec, kinds that it learns as it runs."""

import json
import os
import sys

import lightkube
from lightkube import ApiError, codecs
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import ConfigMapVolumeSource, Container, PodSpec, Volume, VolumeMount
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.types import PatchType

NAMESPACE = os.environ["NAMESPACE"]
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 1
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "python:3", command: [sleep, "600"]}]
"""
seen: dict[str, object] = {}


def config_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, labels={"by": "lightkube"}), data=data)


def objects(client: lightkube.Client) -> None:
    made = client.create(config_map("c", a="1"))
    assert made.metadata is not None
    made.data = {"a": "2"}
    client.replace(made)
    patched = client.patch(ConfigMap, "c", {"data": {"b": "3"}}, patch_type=PatchType.MERGE)
    seen["merged"] = patched.data
    patch = [{"op": "remove", "path": "/data/a"}]
    seen["patched"] = client.patch(ConfigMap, "c", patch, patch_type=PatchType.JSON).data
    for number in range(5):
        client.create(config_map(f"page-{number}"))
    seen["pages"] = [one.metadata.name for one in
                     client.list(ConfigMap, chunk_size=2, labels={"by": "lightkube"})]  # fmt: skip
    try:
        client.create(config_map("c"))
    except ApiError as error:
        seen["twice"] = [error.status.code, error.status.reason]


def applied(client: lightkube.Client) -> None:
    client.apply(config_map("s", a="1", b="1"))
    other = client.apply(config_map("s", b="1"))
    seen["applied"] = other.data
    try:
        client.apply(config_map("s", b="2"), field_manager="another")
    except ApiError as error:
        seen["conflict"] = [error.status.code, error.status.details.causes[0].field]
    forced = client.apply(config_map("s", b="2"), field_manager="another", force=True)
    seen["owners"] = sorted(one.manager for one in forced.metadata.managedFields)


def watched(client: lightkube.Client) -> None:
    first = client.list(ConfigMap, fields={"metadata.name": "c"})
    items = list(first)
    version = items[0].metadata.resourceVersion
    client.patch(ConfigMap, "c", {"data": {"w": "1"}})
    client.delete(ConfigMap, "c")
    events = []
    for kind, found in client.watch(ConfigMap, fields={"metadata.name": "c"},
                                    resource_version=version):  # fmt: skip
        events.append([kind, found.metadata.name])
        if kind == "DELETED":
            break
    seen["events"] = events


def pods(client: lightkube.Client) -> None:
    mounted = VolumeMount(name="v", mountPath="/data")
    main = Container(
        name="main",
        image="python:3",
        command=["sh", "-c", "cat /data/b; echo; exec sleep 600"],
        volumeMounts=[mounted],
    )
    volume = Volume(name="v", configMap=ConfigMapVolumeSource(name="s"))
    spec = PodSpec(containers=[main], volumes=[volume], terminationGracePeriodSeconds=0)
    client.create(Pod(metadata=ObjectMeta(name="p"), spec=spec))
    client.wait(Pod, "p", for_conditions=["Ready"])
    seen["log"] = list(client.log("p", newlines=False))
    done = client.exec("p", command=["sh", "-c", "cat; echo bad >&2; exit 3"], stdin="in",
                       stdout=True, stderr=True)  # fmt: skip
    seen["exec"] = [done.stdout, done.stderr, done.exit_code]
    client.delete(Pod, "p", grace_period=0)


def workloads(client: lightkube.Client) -> None:
    for made in codecs.load_all_yaml(DEPLOYMENT):
        client.create(made)
    client.wait(Deployment, "d", for_conditions=["Available"])
    scale = client.get(Deployment.Scale, "d")
    scale.spec.replicas = 2
    client.replace(scale)
    seen["scale"] = client.get(Deployment.Scale, "d").spec.replicas
    client.delete(Deployment, "d")


def generic(client: lightkube.Client) -> None:
    boat = create_namespaced_resource("example.org", "v1", "Boat", "boats")
    client.create(boat(metadata=ObjectMeta(name="b"), spec={"oars": 2}))
    status = {"status": {"afloat": True}}
    client.patch(boat.Status, "b", status, patch_type=PatchType.MERGE)
    found = client.get(boat, "b")
    seen["boat"] = [found.spec["oars"], found.status["afloat"]]
    client.deletecollection(boat)
    seen["boats"] = len(list(client.list(boat)))


with lightkube.Client(namespace=NAMESPACE, field_manager="script") as client:
    for part in (objects, applied, watched, pods, workloads, generic):
        part(client)
sys.stdout.write(json.dumps(seen))
