"""`kubectl apply`, by the client and by the server."""

import functools
from typing import Any

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")
LAST = "kubectl.kubernetes.io/last-applied-configuration"
LABEL = "{{.metadata.labels.name}}"
VERSION = "{{.metadata.resourceVersion}}"


def config_map(name, data, **metadata):
    metadata = {"name": name, **metadata}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def has_annotation(cmd, what):
    return LAST in cmd.get(what)["metadata"].get("annotations", {})


@case(name="apply: run_kubectl_apply_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_apply(cmd):
    creates_what_is_missing(cmd)
    sets_last_applied(cmd)
    clears_defaulted_fields(cmd)
    keeps_nulls(cmd)
    applies_by_selector(cmd)
    dry_runs(cmd)
    dry_runs_custom_resource(cmd)
    prunes_by_label(cmd)
    prunes_all(cmd)
    prunes_claims(cmd)
    prunes_kinds_allowed(cmd)
    prunes_across_namespaces(cmd)
    refuses_other_namespace(cmd)
    forces_immutable_fields(cmd)
    applies_kustomization(cmd, "-k")
    applies_kustomization(cmd, "--kustomize")
    applies_what_it_can(cmd)
    applies_definition_before_resource(cmd)


def creates_what_is_missing(cmd):
    pod = cmd.at("pod.yaml")
    cmd.lists("pods")
    cmd("apply", "-f", pod)
    cmd.shows("pods test-pod", LABEL, "test-pod-label")
    assert has_annotation(cmd, "pods test-pod")
    assert "kubectl-client-side-apply" in cmd.managers(f"-f {pod}")
    cmd("delete", "pods", "test-pod")


def sets_last_applied(cmd):
    pod = cmd.at("pod.yaml")
    cmd.lists("pods")
    cmd("create", "-f", pod)
    cmd.shows("pods test-pod", LABEL, "test-pod-label")
    assert not has_annotation(cmd, "pods test-pod")
    cmd.dry("apply", "set-last-applied", "-f", pod, "--create-annotation=true")
    assert not has_annotation(cmd, "pods test-pod")
    cmd("apply", "set-last-applied", "-f", pod, "--create-annotation=true")
    assert has_annotation(cmd, "pods test-pod")
    cmd("delete", "pods", "test-pod")


def keep_keys(strategy, volume):
    labels = {"app": "keep"}
    container = {"name": "main", "image": "example.com/pause:1"}
    spec = {"schedulerName": "nobody", "containers": [container], "volumes": [volume]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "keep"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
            **strategy,
        },
    }


def clears_defaulted_fields(cmd):
    before = cmd.file("before.yaml", keep_keys({}, {"name": "v", "emptyDir": {}}))
    after = keep_keys({"strategy": {"type": "Recreate"}}, {"name": "v", "hostPath": {"path": "/v"}})
    cmd.lists("deployments")
    cmd("apply", "-f", before)
    cmd.lists("deployments", "keep")
    spec = cmd.get("deployments keep")["spec"]
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert spec["strategy"]["rollingUpdate"].keys() == {"maxSurge", "maxUnavailable"}
    assert "emptyDir" in spec["template"]["spec"]["volumes"][0]
    cmd("apply", "-f", cmd.file("after.yaml", after))
    spec = cmd.get("deployments keep")["spec"]
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["template"]["spec"]["volumes"][0]["hostPath"]["path"] == "/v"
    assert "emptyDir" not in spec["template"]["spec"]["volumes"][0]
    cmd("delete", "deployments", "keep")


def keeps_nulls(cmd):
    made = keep_keys({}, {"name": "v", "emptyDir": {}})
    (container,) = made["spec"]["template"]["spec"]["containers"]
    container["resources"] = {"requests": {"cpu": None, "memory": "64Mi"}}
    container["terminationMessagePolicy"] = None
    quota = {"limits.cpu": None, "limits.memory": None}
    limit = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    files = cmd.file("nulls.yaml", made, limit | {"spec": {"hard": quota}})
    for _ in range(2):
        cmd("apply", "-f", files)
        (found,) = cmd.get("deployment keep")["spec"]["template"]["spec"]["containers"]
        assert found["resources"]["requests"] == {"memory": "64Mi"}
        assert found["terminationMessagePolicy"] == "File"
        assert not any(cmd.get("resourcequota q")["spec"].get("hard", {}).values())
    cmd("delete", "-f", files)


def applies_by_selector(cmd):
    cmd.comes_to("pods")
    cmd("apply", "-l", "pick=this-one", "-f", cmd.at("filter"))
    cmd.shows("pods chosen-pod", LABEL, "chosen-pod")
    assert 'pods "other-pod" not found' in cmd.missing("pods", "other-pod")
    cmd("delete", "pods", "chosen-pod")


def dry_runs(cmd):
    pod, applied = cmd.at("pod.yaml"), cmd.at("pod-applied.yaml")
    cmd.lists("pods")
    assert "test-pod created (dry run)" in cmd("apply", "--dry-run=client", "-f", pod)
    assert "test-pod created (server dry run)" in cmd("apply", "--dry-run=server", "-f", pod)
    cmd.lists("pods")
    cmd("apply", "-f", pod)
    version = cmd.seen(f"-f {pod}", VERSION)
    cmd.dry("apply", "-f", applied)
    cmd.shows("pods test-pod", LABEL, "test-pod-label")
    cmd.shows(f"-f {pod}", VERSION, version)
    cmd("delete", "-f", pod)


def dry_runs_custom_resource(cmd, *flags):
    cmd("create", "-f", cmd.at("custom-definition.yaml"))
    cmd("wait", "--for=condition=Established", "crd/resources.mine.example.com")
    said = cmd("apply", *flags, "--dry-run=server", "-f", cmd.at("custom-resource.yaml"))
    assert "kind.mine.example.com/myobj" in said
    cmd.missing("resource/myobj")
    cmd("delete", "customresourcedefinition", "resources.mine.example.com")


def pruned(cmd):
    """Return manifests of two pods, the second in a namespace that it names, and that namespace."""
    space = cmd.make_space()
    a = cmd.at("prune/a.yaml")
    b = cmd.change("prune/a.yaml", "name: a", f"name: b\n  namespace: {space}")
    return a, b, space


def prunes_by_label(cmd):
    a, b, space = pruned(cmd)
    cmd.lists("pods")
    cmd("apply", "-n", space, "-l", "prune-group=true", "-f", a)
    cmd.lists(f"pods -n {space}", "a")
    said = cmd("apply", "-n", space, "--prune", "-l", "prune-group=true", "-f", b)
    assert "pod/b created" in said
    assert "pod/a pruned" in said
    cmd.comes_to(f"pods -n {space}", "b")
    cmd("delete", "pods", "b", "-n", space)
    # The same without --prune.
    cmd("apply", "-l", "prune-group=true", "-f", a)
    cmd.lists("pods", "a")
    cmd.comes_to(f"pods -n {space}")
    cmd("apply", "-l", "prune-group=true", "-f", b)
    cmd.lists("pods", "a")
    cmd.lists(f"pods -n {space}", "b")
    cmd("delete", "pod/a")
    cmd("delete", "pod/b", "-n", space)


def prunes_all(cmd):
    a, b, space = pruned(cmd)
    said = cmd.fails("apply", "--prune", "-f", a, "-f", b)
    assert "all resources selected for prune without explicitly passing --all" in said
    cmd("apply", "--all", "--prune", "-f", a, "-f", b)
    cmd.lists("pods", "a")
    cmd.lists(f"pods -n {space}", "b")
    cmd("delete", "pod/a")
    cmd("delete", "pod/b", "-n", space)


def claim(name):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    metadata = {"name": name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {**spec, "storageClassName": "none"},
    }


def prunes_claims(cmd):
    cmd("apply", "--all", "--prune", "-f", cmd.file("a.yaml", claim("a-claim")))
    cmd.lists("pvc", "a-claim")
    cmd("apply", "--all", "--prune", "-f", cmd.file("b.yaml", claim("b-claim")))
    cmd.lists("pvc/b-claim pvc/b-claim", "b-claim", "b-claim")
    cmd.comes_to("pvc", "b-claim")
    cmd.lists("pods")
    cmd("delete", "pvc", "b-claim")


def prunes_kinds_allowed(cmd):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "prune-svc", "labels": {"prune-group": "true"}},
        "spec": {"selector": {"prune-group": "true"}, "ports": [{"port": 80}]},
    }
    flags = ("apply", "--prune", "-l", "prune-group=true", "-f")
    cmd.lists("pods")
    cmd(*flags, cmd.at("prune/a.yaml"))
    cmd.lists("pods", "a")
    made = cmd.file("service.yaml", service)
    cmd(*flags, made, "--prune-allowlist=core/v1/Service")
    cmd.lists("services", "prune-svc")
    cmd.lists("pods", "a")
    assert "pod/a pruned" in cmd(*flags, made)
    cmd.lists("services", "prune-svc")
    cmd.comes_to("pods")
    cmd("delete", "svc", "prune-svc")


def prunes_across_namespaces(cmd):
    a, b, space = pruned(cmd)
    cmd("apply", "-n", space, "-f", a)
    cmd.lists(f"pods -n {space}", "a")
    cmd("apply", "-n", space, "-f", b)
    cmd.lists(f"pods -n {space}", "a", "b")
    cmd("apply", "--prune", "--all", "-f", b)
    cmd.comes_to(f"pods -n {space}", "b")


def refuses_other_namespace(cmd):
    _, b, space = pruned(cmd)
    said = cmd.fails("apply", "-n", "foo", "-f", b)
    expected = f'the namespace from the provided object "{space}" does not match the namespace'
    assert f'{expected} "foo"' in said


def forces_immutable_fields(cmd):
    service: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"ports": [{"port": 80}]},
    }
    cmd.lists("services")
    cmd("apply", "-f", cmd.file("first.yaml", service))
    found = cmd.get("services a")["spec"]["clusterIP"]
    other = f"{found.rpartition('.')[0]}.{(int(found.rpartition('.')[2]) + 100) % 250 + 1}"
    service["spec"]["clusterIP"] = other
    changed = cmd.file("second.yaml", service)
    assert "may not change once set" in cmd.fails("apply", "-f", changed)
    cmd("apply", "-f", changed, "--force")
    cmd.shows("services a", "{{.spec.clusterIP}}", other)
    cmd("delete", "-f", changed)


def applies_kustomization(cmd, flag):
    folder = cmd.at("kustomize")
    cmd("apply", flag, folder)
    cmd.lists("configmap test-the-map test-the-map", "test-the-map", "test-the-map")
    cmd.lists("deployment", "test-the-deployment")
    cmd.lists("service", "test-the-service")
    cmd("delete", flag, folder)


def applies_what_it_can(cmd):
    spec = {"containers": [{"name": "main", "image": "example.com/pause:1"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": spec}
    space = f"{cmd.namespace}-many"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
    inside = pod | {"metadata": {"name": "test-pod", "namespace": space}}
    # The pod comes before the namespace that it is in.
    many = cmd.file("many.yaml", inside, namespace)
    assert f'namespaces "{space}" not found' in cmd.fails("apply", "-f", many)
    cmd.spaces.append(space)
    assert 'pods "test-pod" not found' in cmd.missing("pods", "test-pod", "-n", space)
    cmd("apply", "-f", many)
    cmd.lists(f"pods -n {space}", "test-pod")

    bogus = {"apiVersion": "example.com/v1", "kind": "Bogus", "metadata": {"name": "b"}}
    said = cmd.fails("apply", "-f", cmd.file("bogus.yaml", config_map("foo", {}), bogus))
    assert 'no matches for kind "Bogus" in version "example.com/v1"' in said
    cmd.shows("configmaps foo", "{{.metadata.name}}", "foo")

    cmd.comes_to("pods")
    pods = [pod | {"metadata": {"name": name}} for name in ("pod-a", "POD-B", "pod-c")]
    said = cmd.fails("apply", "-f", cmd.file("pods.yaml", *pods))
    assert 'The Pod "POD-B" is invalid' in said
    cmd.lists("pods", "pod-a", "pod-c")
    cmd("delete", "pod", "pod-a", "pod-c", "--force")


def applies_definition_before_resource(cmd):
    text = (cmd.manifests / "custom-definition.yaml").read_text()
    for old, new in (("resource", "widget"), ("kind: Kind", "kind: Widget"), ("KindL", "WidgetL")):
        text = text.replace(old, new)
    text = text.replace("kind: CustomWidget", "kind: CustomResource")
    widget = "apiVersion: mine.example.com/v1alpha1\nkind: Widget\nmetadata: {name: foo}\n---\n"
    both = cmd.file("widgets.yaml", widget + text)
    said = cmd.fails("apply", "-f", both)
    assert 'no matches for kind "Widget" in version "mine.example.com/v1alpha1"' in said
    cmd("wait", "--for=condition=Established", "crd/widgets.mine.example.com")
    assert 'widgets.mine.example.com "foo" not found' in cmd.missing("widgets", "foo")
    cmd("apply", "-f", both)
    cmd.lists("widget", "foo")
    cmd("delete", "-f", both)


@case(name="apply: run_kubectl_server_side_apply_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_server_side_apply(cmd):
    names_its_manager(cmd)
    dry_runs_by_server(cmd)
    moves_to_server_and_back(cmd)
    dry_runs_custom_resource(cmd, "--server-side")
    moves_config_map(cmd)
    moves_with_other_manager(cmd)


def names_its_manager(cmd):
    pod = cmd.at("pod.yaml")
    cmd.lists("pods")
    assert "test-pod serverside-applied" in cmd("apply", "--server-side", "-f", pod)
    cmd.shows("pods test-pod", LABEL, "test-pod-label")
    assert "kubectl" in cmd.managers(f"-f {pod}")
    mine = ("apply", "--server-side", "--field-manager=my-manager")
    cmd(*mine, "--force-conflicts", "-f", pod)
    assert "my-manager" in cmd.managers(f"-f {pod}")
    status = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "test-pod"},
        "status": {"conditions": [{"type": "example.io/Foo", "status": "True"}]},
    }
    cmd(*mine, "--subresource=status", "-f", cmd.file("status.yaml", status))
    types = [one["type"] for one in cmd.get(f"-f {pod}")["status"]["conditions"]]
    assert "example.io/Foo" in types
    cmd("delete", "pods", "test-pod")


def dry_runs_by_server(cmd):
    pod, applied = cmd.at("pod.yaml"), cmd.at("pod-applied.yaml")
    cmd.lists("pods")
    said = cmd("apply", "--server-side", "--dry-run=server", "-f", pod)
    assert "test-pod serverside-applied (server dry run)" in said
    cmd.lists("pods")
    cmd("apply", "--server-side", "-f", pod)
    version = cmd.seen(f"-f {pod}", VERSION)
    cmd("apply", "--server-side", "--dry-run=server", "-f", applied)
    cmd.shows("pods test-pod", LABEL, "test-pod-label")
    cmd.shows(f"-f {pod}", VERSION, version)
    cmd("delete", "-f", pod)


def moves_to_server_and_back(cmd):
    pod, applied = cmd.at("pod.yaml"), cmd.at("pod-applied.yaml")
    cmd("apply", "-f", pod)
    said = cmd.fails("apply", "--server-side", "--field-manager=not-kubectl", "-f", applied)
    assert "conflict" in said
    for file, label in ((applied, "test-pod-applied"), (pod, "test-pod-label")):
        cmd("apply", "--server-side", "-f", file)
        assert has_annotation(cmd, "pods test-pod")
        assert f'"name": "{label}"' in cmd("apply", "view-last-applied", "pod/test-pod", "-o=json")
    assert "configured" in cmd("apply", "-f", applied)
    cmd("delete", "-f", pod)


def moves_config_map(cmd):
    first = cmd.file("first.yaml", config_map("test", {"key": "value", "legacy": "unused"}))
    server = cmd.file("server.yaml", config_map("test", {"key": "value", "ssaKey": "applied"}))
    client = cmd.file("client.yaml", config_map("test", {"key": "value", "newKey": "added"}))
    cmd("apply", "-f", first)
    cmd("apply", "--server-side", "-f", first)
    assert cmd.get("configmap test")["data"] == {"key": "value", "legacy": "unused"}
    cmd("apply", "--server-side", "-f", server)
    assert cmd.get("configmap test")["data"] == {"key": "value", "ssaKey": "applied"}
    cmd("apply", "-f", client)
    assert cmd.get("configmap test")["data"] == {"key": "value", "newKey": "added"}
    cmd("apply", "--server-side", "-f", server)
    assert cmd.get("configmap test")["data"] == {"key": "value", "ssaKey": "applied"}
    other = config_map("test", {"key": "value", "newKey": "added"}, annotations={"extra": "a"})
    said = cmd.fails("diff", "--server-side", "-f", cmd.file("other.yaml", other))
    assert "+  newKey: " in said
    assert "+    extra: a" in said
    cmd("delete", "configmap", "test")


def moves_with_other_manager(cmd):
    first = cmd.file("first.yaml", config_map("ssa", {"key": "value1", "legacy": "value2"}))
    second = cmd.file("second.yaml", config_map("ssa", {"key": "value2"}))
    cmd("apply", "--server-side=false", "--field-manager=myfm", "-f", first)
    assert has_annotation(cmd, "configmap ssa")
    cmd("apply", "--server-side", "--field-manager=myfm", "-f", first)
    assert cmd.get("configmap ssa")["data"]["key"] == "value1"
    assert not has_annotation(cmd, "configmap ssa")
    cmd("apply", "--server-side", "--field-manager=myfm", "-f", second)
    assert cmd.get("configmap ssa")["data"] == {"key": "value2"}
