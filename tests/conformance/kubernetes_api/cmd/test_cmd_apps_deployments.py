"""Deployments: applied, rolled out and back, and changed by commands."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

IMAGES = "{{range .items}}{{range .spec.template.spec.containers}}{{.image}}:{{end}}{{end}}"
FIRST, SECOND, SIDE = "example.com/web:1", "example.com/web:2", "example.com/side:1"
WITHIN = "{{(index .spec.template.spec.containers 0).name}}"
UNDO = ("rollout", "undo", "deployment")


def labelled(metadata, selector, template, **spec):
    containers = [{"name": "main", "image": FIRST}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "labelled", **metadata},
        "spec": {
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": template}, "spec": {"containers": containers}},
            **spec,
        },
    }


@case(name="apps: run_kubectl_apply_deployments_tests")
@pytest.mark.slow
def test_apply_deployments(cmd):
    for kind in ("deployments", "replicasets", "pods"):
        cmd.lists(kind)
    passes_nulls_on(cmd)
    forces_past_conflicts(cmd)


def passes_nulls_on(cmd):
    one = {"l1": "l1"}
    cmd("apply", "-f", cmd.file("one.yaml", labelled({"labels": one}, one, one)))
    found = cmd.get("deployments labelled")
    assert found["metadata"]["labels"] == one
    two = labelled({"labels": {"l1": None}}, one, one)
    cmd("apply", "-f", cmd.file("two.yaml", two))
    found = cmd.get("deployments labelled")
    assert found["spec"]["selector"]["matchLabels"] == one
    assert found["spec"]["template"]["metadata"]["labels"] == one
    assert "l1" not in found["metadata"].get("labels", {})
    flags = ("--cascade=orphan", "--grace-period=0", "--force")
    cmd("delete", "deployments,rs,pods", "--all", *flags)
    for kind in ("deployments", "replicasets", "pods"):
        cmd.comes_to(kind)


def forces_past_conflicts(cmd):
    def written(name, *labels, **metadata):
        selector, template = ({"name": label} for label in labels)
        return cmd.file(f"{name}.yaml", labelled(metadata, selector, template))

    cmd("apply", "-f", written("first", "web1", "web1"))
    stale = {"resourceVersion": "99"}
    second = written("second", "web2", "web2", **stale)
    assert "Error from server (Conflict)" in cmd.fails("apply", "-f", second)
    cmd("apply", "-f", second, "--overwrite=true", "--force=true", "--grace-period=10")
    said = cmd("apply", "view-last-applied", "deploy/labelled", "-o", "json")
    assert '"name": "web2"' in said
    # In conflict, and wrong besides: what was there is put back.
    third = written("third", "web1", "web3", **stale)
    said = cmd.fails("apply", "-f", third, "--force")
    assert "Invalid value" in said
    template = "{{.spec.template.metadata.labels.name}}"
    cmd.shows("deployment labelled", template, "web2")
    cmd("delete", "deployments", "--all", "--grace-period=10")


@case(name="apps: run_deployment_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_deployments(cmd):
    creates(cmd)
    deletes_with_and_without_its_own(cmd)
    autoscales(cmd)
    rolls_back(cmd)
    sets_images(cmd)
    sets_environments(cmd)
    tells_its_history(cmd)


def creates(cmd):
    image = "--image=example.com/web:1"
    cmd("create", "deployment", "plain", image)
    cmd.shows("deploy plain", WITHIN, "web")
    cmd.shows("deployment.apps/plain", "{{.spec.revisionHistoryLimit}}", "10")
    cmd.shows("deployment.apps/plain", "{{.apiVersion}}", "apps/v1")
    cmd.becomes("deployment plain", "{{.status.replicas}}", "1")
    words = ("Name:", "Pod Template:", "Labels:", "Selector:", "Controlled By", "Replicas:")
    cmd.describes("rs", *words, "Pods Status:", "Volumes:")
    cmd.describes("pods", "Name:", "Image:", "Node:", "Labels:", "Status:", "Controlled By")
    cmd("delete", "deployment", "plain")
    cmd.lists("deployment")
    command = ("create", "deployment", "web", image, "--", "/bin/sleep", "infinity")
    cmd.dry(*command)
    cmd.lists("deployment")
    cmd(*command)
    cmd.shows("deploy web", WITHIN, "web")
    cmd("delete", "deployment", "web")
    user = labelled({}, {"a": "b"}, {"a": "b"})
    user["spec"]["template"]["spec"]["securityContext"] = {"runAsUser": 1000000000}
    cmd("create", "-f", cmd.file("user.yaml", user))
    cmd.lists("deployment", "labelled")
    cmd("delete", "deployment", "labelled")


def deletes_with_and_without_its_own(cmd):
    counts = "{{range .items}}{{.spec.replicas}}{{end}}"
    cmd.comes_to("rs")
    cmd("create", "-f", cmd.at("deployment.yaml"))
    cmd.becomes("rs", counts, "3")
    # An empty value, as older ones wrote it.
    cmd("delete", "deployment", "web", "--cascade")
    cmd.comes_to("rs")
    cmd("create", "deployment", "web", "--image=example.com/web:1")
    cmd.becomes("rs", counts, "1")
    cmd("delete", "deployment", "web", "--cascade=orphan")
    cmd.comes_to("deployment")
    cmd.shows("rs", counts, "1")
    cmd("delete", "rs", "--all")


def autoscales(cmd):
    cmd.lists("hpa")
    cmd("create", "-f", cmd.at("deployment.yaml"))
    scale = ("autoscale", "deployment", "web", "--min=2", "--max=3")
    cmd.dry(*scale)
    cmd.lists("hpa")
    cmd(*scale)
    spec = cmd.get("hpa web")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 3)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    cmd.describes_in_chunks("horizontalpodautoscalers", "events")
    cmd("delete", "hpa", "web")
    cmd("delete", "deployment.apps", "web")


def revised(cmd, number):
    """Wait until the controller knows the newest template by its number."""
    revision = '{{index .metadata.annotations "deployment.kubernetes.io/revision"}}'
    cmd.becomes("deployment pair", revision, str(number))


def newest(cmd):
    """Return the annotations of the newest replica set."""
    sets = [one["metadata"]["annotations"] for one in cmd.get("rs")["items"]]
    return max(sets, key=lambda one: int(one["deployment.kubernetes.io/revision"]))


def rolls_back(cmd):
    cmd.comes_to("rs")
    both = f"{FIRST}:{SIDE}:", f"{SECOND}:{SIDE}:"
    cmd("create", "-f", cmd.at("deployment-two.yaml"))
    cmd.shows("deployment", IMAGES, both[0])
    revised(cmd, 1)
    cmd(*UNDO, "pair", "--to-revision=1")
    cmd.shows("deployment", IMAGES, both[0])
    changed = cmd.change("deployment-two.yaml", FIRST, SECOND)
    cmd("apply", "-f", changed)
    cmd.shows("deployment.apps", IMAGES, both[1])
    revised(cmd, 2)
    assert FIRST in cmd(*UNDO, "pair", "--dry-run=client")
    cmd(*UNDO, "pair", "--dry-run=server")
    cmd.shows("deployment.apps", IMAGES, both[1])
    cmd(*UNDO, "pair", "--to-revision=1")
    cmd.becomes("deployment", IMAGES, both[0])
    revised(cmd, 3)
    cmd.fails(*UNDO, "pair", "--to-revision=1000000")
    cmd.shows("deployment", IMAGES, both[0])
    cmd(*UNDO, "pair")
    cmd.becomes("deployment", IMAGES, both[1])
    revised(cmd, 4)
    cmd("rollout", "pause", "deployment", "pair")
    cmd.fails(*UNDO, "pair")
    cmd.fails("rollout", "restart", "deployment", "pair")
    cmd("rollout", "resume", "deployment", "pair")
    cmd(*UNDO, "pair")
    revised(cmd, 5)
    cmd.waits(lambda: "5" in newest(cmd)["deployment.kubernetes.io/revision"], "revision 5")
    assert newest(cmd)["deployment.kubernetes.io/revision-history"] == "1,3"
    cmd.fails("rollout", "status", "deployment/pair", "--revision=3")
    cmd("rollout", "restart", "deployment/pair")
    revised(cmd, 6)
    cmd.waits(lambda: newest(cmd)["deployment.kubernetes.io/revision"] == "6", "revision 6")
    assert "kubectl-rollout" in cmd.managers("deployment pair")
    other = cmd.change("deployment-two.yaml", "name: pair\n  labels", "name: other\n  labels")
    cmd("create", "-f", other)
    cmd("delete", "deployment", "other")
    cmd("delete", "deployment", "pair")


def sets_images(cmd):
    made = cmd.at("deployment-two.yaml")
    image = ("set", "image")

    def images(first, second=SIDE):
        cmd.shows("deployment", IMAGES, f"{first}:{second}:")

    cmd("create", "-f", made)
    images(FIRST)
    cmd.dry(*image, "deployment", "pair", f"web={SECOND}")
    images(FIRST)
    cmd(*image, "deployment", "pair", f"web={SECOND}")
    images(SECOND)
    cmd.fails(*image, "deployment", "pair", "redis=redis")
    cmd(*image, "deployments", "--all", f"web={FIRST}")
    images(FIRST)
    cmd(*image, "-f", made, f"web={SECOND}")
    images(SECOND)
    third = "example.com/web:3"
    assert third in cmd(*image, "-f", made, f"web={third}", "--local", "-o", "yaml")
    images(SECOND)
    for _ in range(2):
        cmd(*image, "deployment", "pair", f"*={FIRST}")
        images(FIRST, FIRST)
    cmd("delete", "deployment", "pair")


def sets_environments(cmd):
    env = ("set", "env", "deployment", "pair")
    count = "{{len (index .spec.template.spec.containers 0).env}}"
    cmd("create", "-f", cmd.at("deployment-two.yaml"))
    values = ("--from-literal=key-1=value1", "--from-literal=key-2=value2")
    cmd("create", "configmap", "settings", *values)
    names = ("--from-literal=username=user", "--from-literal=password=word")
    cmd("create", "secret", "generic", "words", *names)
    cmd(*env, "--keys=key-2", "--from=configmap/settings")
    first = "{{(index (index .spec.template.spec.containers 0).env 0).name}}"
    cmd.shows("deploy pair", first, "KEY_2")
    cmd.shows("deploy pair", count, "1")
    cmd.dry(*env, "--from=configmap/settings")
    cmd.shows("deploy pair", count, "1")
    cmd(*env, "--from=configmap/settings")
    cmd.shows("deploy pair", count, "2")
    cmd(*env, "env=prod")
    cmd(*env, "superenv=superprod", "-c=web")
    cmd(*env, "--keys=username", "--from=secret/words")
    cmd(*env, "--from=secret/words")
    cmd(*env, "env-")
    found = cmd.get("deploy pair")["spec"]["template"]["spec"]["containers"]
    named = [{one["name"] for one in container["env"]} for container in found]
    shared = {"KEY_1", "KEY_2", "USERNAME", "PASSWORD"}
    assert named == [shared | {"superenv"}, shared]
    said = cmd.fails("set", "env", "-f", "-", "-", text="KEY=VALUE\n")
    assert "standard input cannot be used for multiple arguments" in said
    cmd("delete", "deployment/pair", "configmap/settings", "secret/words")


def tells_its_history(cmd):
    history = ("rollout", "history", "deployment", "pair")
    cmd("create", "-f", cmd.at("deployment-two.yaml"))
    revised(cmd, 1)
    cmd("set", "image", "deployment", "pair", f"web={SECOND}")
    revised(cmd, 2)
    cmd.waits(lambda: len(cmd.get("rs")["items"]) == 2, "a replica set of each template")
    said = cmd(*history)
    assert "deployment.apps/pair" in said
    assert "REVISION  CHANGE-CAUSE" in said
    for number in (1, 2):
        assert f"{number}         <none>" in said
    assert "3         <none>" not in said
    for number, image in ((1, FIRST), (2, SECOND)):
        said = cmd(*history, f"--revision={number}")
        assert f"deployment.apps/pair with revision #{number}" in said
        assert "Pod Template:" in said
        assert image in said
        assert SIDE in said
    cmd("delete", "deployment", "pair")
