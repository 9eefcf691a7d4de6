"""`kubectl get`: what it prints, in what order, from where, and of what is not there."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

NAME = "{{.metadata.name}}"


@case(name="get: run_kubectl_get_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_get(cmd):
    gets_nothing(cmd)
    gets_all(cmd)
    gets_in_chunks(cmd)
    watches_in_chunks(cmd)
    gets_by_templates(cmd)
    watches(cmd)
    gets_of_files(cmd)


def gets_nothing(cmd):
    nothing = "No resources found"
    cmd.lists("pods")
    for flags in ((), ("-o", "name"), ("-o", "json")):
        said = cmd.missing("pods", "abc", *flags)
        assert 'pods "abc" not found' in said
        assert "List" not in said
    templates = ("jsonpath={.items}", "go-template={{.items}}", "custom-columns=N:.metadata.name")
    for form in ("json", "yaml", "name", *templates):
        assert nothing not in cmd("get", "pods", "-o", form)
    assert nothing not in cmd.fails("get", "foobar")
    assert nothing in cmd("get", "pods")
    assert nothing not in cmd("get", "pods", "--ignore-not-found")
    assert nothing in cmd("get", "pods", "-o", "wide")


def asked(said):
    """Return the paths that were asked for, and well answered."""
    lines = [line for line in said.splitlines() if 'status="200 OK"' in line and "url=" in line]
    return [line.split('url="')[1].split('"')[0].split("/", 3)[3] for line in lines]


def gets_all(cmd):
    paths = asked(cmd("get", "all", "-v=6", "--namespace=default", "--chunk-size=0"))
    for group, kinds in (
        ("api/v1", ("pods", "replicationcontrollers", "services")),
        ("apis/apps/v1", ("daemonsets", "deployments", "replicasets", "statefulsets")),
        ("apis/autoscaling/v2", ("horizontalpodautoscalers",)),
        ("apis/batch/v1", ("cronjobs", "jobs")),
    ):
        for kind in kinds:
            assert f"{group}/namespaces/default/{kind}" in paths
    assert not any("extensions/v1beta1" in path for path in paths)


def gets_in_chunks(cmd):
    paths = asked(cmd("get", "clusterrole", "-v=6", "--chunk-size=10"))
    assert any(path.endswith("/clusterroles?limit=10") for path in paths)
    assert any("/clusterroles?continue=" in path for path in paths)
    paths = asked(cmd("get", "clusterrole", "-v=6"))
    assert any(path.endswith("/clusterroles?limit=500") for path in paths)
    said = cmd("get", "namespaces", "--chunk-size=1", "--no-headers")
    assert all(name in said for name in ("default", "kube-public", "kube-system"))


def watches_in_chunks(cmd):
    for name in ("one", "two", "three"):
        cmd.has_not("configmaps", name)
        cmd("create", "cm", name)
    for flag in ("--watch", "--watch-only"):
        done = cmd.run("get", "configmap", "--chunk-size=1", flag, "--request-timeout=1s")
        assert "watch is only supported on individual resources" not in done.err + done.out


def gets_by_templates(cmd):
    cmd("create", "-f", cmd.at("valid-pod.yaml"))
    get = ("get", "pod", "valid-pod")
    cmd(*get, "-o", "jsonpath={.missing}")
    cmd(*get, "-o", "go-template={{.missing}}")
    assert cmd.out(*get, "--template={{.metadata.name}}:") == "valid-pod:"
    strict = (*get, "--allow-missing-template-keys=false", "-o")
    assert "missing is not found" in cmd.fails(*strict, "jsonpath={.missing}")
    said = cmd.fails(*strict, "go-template={{.missing}}")
    assert 'map has no entry for key "missing"' in said
    assert "valid-pod" in cmd(*get, "--subresource=status")
    said = cmd.fails(*get, "--subresource=scale")
    assert "the server could not find the requested resource" in said


def watches(cmd):
    cmd.cut("get", "pods", "-w", words=["STATUS", "valid-pod"])
    for form, words in (("name", "pod/valid-pod"), ("yaml", "name: valid-pod")):
        said = cmd.cut("get", "pods/valid-pod", "-o", form, "-w", words=[words])
        assert "STATUS" not in said.out + said.err
    assert '"invalid-pod" not found' in cmd.fails("get", "pods/invalid-pod", "-w")
    cmd("delete", "pods", "valid-pod")


def gets_of_files(cmd):
    two, folder = cmd.at("two-pods.yaml"), cmd.at("kustomize")
    names = ("-o", "jsonpath={..metadata.name}")
    cmd.lists("pods")
    cmd("create", "-f", two)
    assert "first-pod valid-pod" in cmd("get", "-f", two, *names)
    cmd("delete", "pods", "first-pod", "valid-pod")
    cmd.lists("deployment")
    cmd("apply", "-k", folder)
    said = cmd("get", "-k", folder, *names)
    for name in ("test-the-map", "test-the-deployment", "test-the-service"):
        assert name in said
    cmd("delete", "-k", folder)
    cmd.has_not("configmaps", "test-the-map")
    cmd.lists("deployment")
    cmd.lists("services")


@case(name="get: run_retrieve_multiple_tests")
def test_get_several(cmd):
    node = cmd.get("nodes")["items"][0]["metadata"]["name"]
    cmd.lists(f"-n default nodes/{node} service/kubernetes", node, "kubernetes")


def sorted_pod(name, label, container, size):
    amounts = {"cpu": f"{size}m", "memory": f"{size}Mi"}
    resources = {"requests": amounts, "limits": amounts}
    container = {"name": container, "image": "example.com/web:1", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"name": label}},
        "spec": {"schedulerName": "nobody", "containers": [container]},
    }


@case(name="get: run_kubectl_sort_by_tests")
def test_sort_by(cmd):
    cmd.lists("pods")
    for key in ("{metadata.name}", "{metadata.creationTimestamp}"):
        cmd("get", "pods", f"--sort-by={key}")
    cmd("create", "-f", cmd.at("valid-pod.yaml"))
    said = cmd("get", "pods", "-v=8", "--sort-by={metadata.name}")
    assert "valid-pod" in said
    assert "as=Table" in said
    assert "includeObject=Object" in said
    cmd("delete", "pod", "valid-pod", "--grace-period=0", "--force")
    sorts_several(cmd)


def sorts_several(cmd):
    pods = (
        sorted_pod("sorted-1", "c", "m2", 2),
        sorted_pod("sorted-2", "b", "m1", 16),
        sorted_pod("sorted-3", "a", "m3", 1),
    )
    for pod in pods:
        cmd("create", "-f", cmd.file("sorted.yaml", pod))
    cmd.lists("pods", "sorted-1", "sorted-2", "sorted-3")
    resources = ".spec.containers[0].resources"
    orders = {
        "{metadata.name}": "123",
        "{metadata.labels.name}": "321",
        "{spec.containers[0].name}": "213",
        "{metadata.creationTimestamp}": "123",
        f"{{{resources}.requests.memory}}": "312",
        f"{{{resources}.requests.cpu}}": "312",
        f"{{{resources}.limits.memory}}": "312",
        f"{{{resources}.limits.cpu}}": "312",
    }
    for key, order in orders.items():
        said = cmd.out("get", "pods", f"--sort-by={key}", "--no-headers")
        assert [line.split()[0][-1] for line in said.splitlines()] == list(order), key
    flags = ("--sort-by={spec.containers[0].name}", "--server-print=false", "-v=8")
    done = cmd.run("get", "pods", *flags)
    names = [line.split()[0] for line in done.out.splitlines()[1:]]
    assert names == ["sorted-2", "sorted-1", "sorted-3"]
    assert "Table" not in done.err
    cmd("delete", "pod", "--grace-period=0", "--force", "--all")
    cmd.lists("pods")


@case(name="get: run_kubectl_all_namespace_tests")
def test_all_namespaces(cmd):
    cmd.shows("namespaces default", NAME, "default")
    cmd.lists("pods")
    cmd("create", "-f", cmd.at("valid-pod.yaml"))
    cmd.lists("pods", "valid-pod")
    # The one that is named does not count.
    assert cmd.namespace in cmd("get", "pods", "--all-namespaces", "--namespace=default")
    spaces = cmd.make_space(), cmd.make_space()
    for space in spaces:
        cmd("create", "serviceaccount", "test", "-n", space)
    for flag in ("--all-namespaces", "-A"):
        said = cmd("get", "serviceaccounts", flag)
        assert all(space in said for space in spaces)
    cmd("delete", "pod", "valid-pod", "--grace-period=0", "--force")
    cmd.lists("pods")
    assert "NAMESPACE" not in cmd("get", "nodes", "--all-namespaces")


@case(name="get: run_deprecated_api_tests")
def test_deprecated_version(cmd):
    warning = "mine.example.com/v1alpha1 Kind is deprecated"
    served = "served: true\n      deprecated: true"
    cmd("create", "-f", cmd.change("custom-definition.yaml", "served: true", served))
    cmd("wait", "--for=condition=Established", "crd/resources.mine.example.com")
    get = ("get", "resources.v1alpha1.mine.example.com")
    assert warning in cmd(*get)
    said = cmd.fails(*get, "--warnings-as-errors")
    assert warning in said
    assert "1 warning received" in said
    cmd("delete", "crd", "resources.mine.example.com")
