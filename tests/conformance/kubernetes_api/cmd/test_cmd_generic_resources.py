"""Files of several objects, folders of files, and lists: what one command does to all of them."""

import functools
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import yaml

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")
KIND_MISSING = "Object 'Kind' is missing"
REPLICAS = "{{.spec.replicas}}"


def service(name, **labels):
    spec = {"selector": {"app": name}, "ports": [{"port": 99, "targetPort": 9949}]}
    metadata = {"name": name, "labels": {"app": "mock", **labels}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def controller(name, replicas=1, image="example.com/web:1", **labels):
    template: dict[str, Any] = {"metadata": {"labels": {"app": name}}}
    container = {"name": "main", "image": image}
    template["spec"] = {"schedulerName": "nobody", "containers": [container]}
    spec = {"replicas": replicas, "selector": {"app": name}, "template": template}
    metadata = {"name": name, "labels": {"app": "mock", **labels}}
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": metadata,
        "spec": spec,
    }


def listed(kind, *objects):
    return json.dumps({"apiVersion": "v1", "kind": kind, "items": objects})


WRITTEN: dict[str, Callable[..., str]] = {
    "documents": lambda *objects: yaml.safe_dump_all(objects),
    "list": functools.partial(listed, "List"),
    "concatenated": lambda *objects: "\n".join(map(json.dumps, objects)),
    "controllers": functools.partial(listed, "ReplicationControllerList"),
    "services": functools.partial(listed, "ServiceList"),
}
"""How several objects may be written in one file."""


@case(name="generic-resources: run_multi_resources_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_several_in_a_file(cmd):
    for form, write in WRITTEN.items():
        objects = {"controllers": (controller, controller), "services": (service, service)}
        one, other = objects.get(form, (service, controller))
        names = ("mock", "mock2" if one is other else "mock")
        file = cmd.file("several.yaml", write(one(names[0]), other(names[1])))
        changed = [
            made(name, status="replaced") for made, name in zip((one, other), names, strict=True)
        ]
        makes_and_changes(cmd, file, cmd.file("changed.yaml", write(*changed)), changed)
    comes_from_the_network(cmd)


def makes_and_changes(cmd, file, changed, objects):
    whats = [f"{one['kind'].lower()}/{one['metadata']['name']}" for one in objects]

    def noted(field, key, value):
        for what in whats:
            assert cmd.get(what)["metadata"][field][key] == value

    cmd.comes_to("services")
    cmd.comes_to("rc")
    cmd("create", "-f", file)
    for what in whats:
        cmd.shows(what, "{{.metadata.name}}", what.split("/")[1])
    cmd("get", "-f", file)
    said = cmd.fails("get", "-f", file, "--watch")
    assert "watch is only supported on individual resources and resource collections" in said
    cmd("describe", "-f", file)
    cmd("replace", "-f", changed, "--force", "--cascade")
    noted("labels", "status", "replaced")
    cmd("edit", "-f", file, environment=cmd.editor("status: replaced", "status: edited"))
    noted("labels", "status", "edited")
    cmd("label", "-f", file, "labeled=true", "--overwrite")
    noted("labels", "labeled", "true")
    cmd("annotate", "-f", file, "annotated=true", "--overwrite")
    noted("annotations", "annotated", "true")
    cmd("delete", "-f", file)


def comes_from_the_network(cmd):
    cmd.file("web/several.yaml", service("mock"), controller("mock"))
    handler = functools.partial(Quiet, directory=str(cmd.home / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/several.yaml"
        try:
            cmd("create", "-f", url)
            cmd.lists("services", "mock")
            cmd.lists("rc", "mock")
            cmd("delete", "-f", url)
        finally:
            server.shutdown()
            thread.join()
    cmd.comes_to("services")
    cmd.comes_to("rc")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


def folder(cmd, name, make):
    """Write a folder of two good files, one of them deeper, and one that says no kind."""
    first, second, broken = make(0), make(1), make(2)
    del broken["kind"]
    cmd.file(f"{name}/0.yaml", first)
    cmd.file(f"{name}/1.yaml", broken)
    cmd.file(f"{name}/deeper/2.yaml", second)
    return "-f", str(cmd.home / name), "--recursive"


def pod(number, **labels):
    name = f"busy{number}"
    container = {"name": "busy", "image": "busy"}
    spec: dict[str, Any] = {"schedulerName": "nobody", "containers": [container]}
    spec |= {"serviceAccountName": "default", "automountServiceAccountToken": False}
    metadata = {"name": name, "labels": {"app": name, **labels}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def deployment(number):
    labels = {"app": f"web{number}"}
    container = {"name": "web", "image": "example.com/web:1"}
    template: dict[str, Any] = {"metadata": {"labels": labels}}
    template["spec"] = {"schedulerName": "nobody", "containers": [container]}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": f"web{number}"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


@case(name="generic-resources: run_recursive_resources_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_folders(cmd):
    changes_pods(cmd)
    scales_controllers(cmd)
    rolls_deployments_out(cmd)
    does_not_roll_controllers_out(cmd)


def complains(cmd, *command, words=KIND_MISSING, **options):
    said = cmd.fails(*command, **options)
    assert words in said
    return said


def changes_pods(cmd):
    invalid = "error validating data: kind not set"
    files = folder(cmd, "pods", pod)
    changed = folder(cmd, "changed", functools.partial(pod, status="replaced"))
    each = "{{range .items}}{{%s}}:{{end}}"
    image = each % "(index .spec.containers 0).image"
    cmd.lists("pods")
    complains(cmd, "create", *files, words=invalid)
    cmd.lists("pods", "busy0", "busy1")
    editor = cmd.editor("image: busy", "image: other/busy")
    complains(cmd, "edit", *files, environment=editor)
    cmd.shows("pods", image, "busy:busy:")
    complains(cmd, "replace", *changed, words=invalid)
    cmd.shows("pods", each % ".metadata.labels.status", "replaced:replaced:")
    said = complains(cmd, "describe", *files)
    assert "app=busy0" in said
    assert "app=busy1" in said
    complains(cmd, "annotate", *files, "annotatekey=annotatevalue")
    values = "annotatevalue:annotatevalue:"
    cmd.shows("pods", each % ".metadata.annotations.annotatekey", values)
    complains(cmd, "apply", *changed, words=invalid)
    cmd.shows("pods", each % ".metadata.labels.status", "replaced:replaced:")
    names = ("-o", "go-template={{range .items}}{{.metadata.name}}:{{end}}")
    assert "busy0:busy1:" in complains(cmd, "get", *files, *names)
    complains(cmd, "label", *files, "mylabel=myvalue")
    cmd.shows("pods", each % ".metadata.labels.mylabel", "myvalue:myvalue:")
    patch = '-p={"spec":{"containers":[{"name":"busy","image":"other/busy"}]}}'
    complains(cmd, "patch", *files, patch)
    cmd.shows("pods", image, "other/busy:other/busy:")
    complains(cmd, "delete", *files, "--grace-period=0", "--force")
    cmd.lists("pods")


def scales_controllers(cmd):
    files = folder(cmd, "controllers", lambda number: controller(f"busy{number}"))
    both = ("busy0", "busy1")
    cmd.lists("rc")
    cmd.fails("create", *files)
    cmd.lists("rc", *both)
    complains(cmd, "autoscale", "--min=1", "--max=2", *files)
    for name in both:
        spec = cmd.get(f"hpa {name}")["spec"]
        assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 2)
        cmd("delete", "hpa", name)
    complains(cmd, "expose", *files, "--port=80")
    for name in both:
        (port,) = cmd.get(f"service {name}")["spec"]["ports"]
        assert (port.get("name"), port["port"]) == (None, 80)
        cmd.shows(f"rc {name}", REPLICAS, "1")
    complains(cmd, "scale", "--current-replicas=1", "--replicas=2", *files)
    for name in both:
        cmd.shows(f"rc {name}", REPLICAS, "2")
    complains(cmd, "delete", *files, "--grace-period=0", "--force")
    cmd.lists("rc")


def rolls_deployments_out(cmd):
    files = folder(cmd, "deployments", deployment)
    images = "{{range .items}}{{(index .spec.template.spec.containers 0).image}}:{{end}}"
    paused = "{{range .items}}{{.spec.paused}}:{{end}}"
    revision = '{{index .metadata.annotations "deployment.kubernetes.io/revision"}}'
    cmd.lists("deployment")
    cmd.fails("create", *files)
    for name in ("web0", "web1"):
        cmd.becomes(f"deployment {name}", revision, "1")
    cmd.shows("deployment", images, "example.com/web:1:" * 2)
    complains(cmd, "rollout", "undo", *files, "--to-revision=1")
    cmd.shows("deployment", images, "example.com/web:1:" * 2)
    complains(cmd, "rollout", "pause", *files)
    cmd.shows("deployment", paused, "true:true:")
    complains(cmd, "rollout", "resume", *files)
    cmd.shows("deployment", paused, "<no value>:<no value>:")
    said = complains(cmd, "rollout", "history", *files)
    assert "web0" in said
    assert "web1" in said
    cmd.fails("delete", *files, "--grace-period=0", "--force")


def does_not_roll_controllers_out(cmd):
    files = folder(cmd, "controllers", lambda number: controller(f"busy{number}"))
    cmd.comes_to("rc")
    cmd.fails("create", *files)
    said = complains(cmd, "rollout", "undo", *files, "--to-revision=1")
    assert 'no rollbacker has been implemented for "ReplicationController"' in said
    for verb in ("pause", "resume"):
        said = complains(cmd, "rollout", verb, *files)
        for name in ("busy0", "busy1"):
            doing = f"{verb.rstrip('e')}ing"
            assert f'replicationcontrollers "{name}" {doing} is not supported' in said
    cmd.fails("delete", *files, "--grace-period=0", "--force")


@case(name="generic-resources: run_lists_tests")
def test_lists(cmd):
    file = cmd.file("list.json", listed("List", service("in-list"), deployment(7)))
    cmd("create", "-f", file)
    cmd("delete", "service/in-list", "deployment/web7")
