"""Daemon sets, stateful sets and replica sets: changed, rolled back and scaled."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

IMAGES = "{{range .items}}{{range .spec.template.spec.containers}}{{.image}}:{{end}}{{end}}"
GENERATION = "{{.metadata.generation}}"
REPLICAS = "{{.spec.replicas}}"
CAUSES = "{{range .items}}{{range .metadata.annotations}}{{.}}{{end}}:{{end}}"
CHUNKED = "pods,events"


@case(name="apps: run_daemonset_tests")
def test_daemon_sets(cmd):
    cmd.lists("daemonsets")
    made, what = cmd.at("daemonset.yaml"), "daemonsets bind"
    for _ in range(2):
        cmd("apply", "-f", made)
        cmd.shows(what, GENERATION, "1")
    changes = (
        ("set", "image", "daemonsets/bind", "*=example.com/pause:test"),
        ("set", "env", "daemonsets/bind", "foo=bar"),
        ("set", "resources", "daemonsets/bind", "--limits=cpu=200m,memory=512Mi"),
        ("rollout", "restart", "daemonset/bind"),
    )
    for number, command in enumerate(changes, 2):
        cmd(*command)
        cmd.shows(what, GENERATION, str(number))
    assert "kubectl-set" in cmd.managers(what)
    cmd("delete", "-f", made)


def rolls_back(cmd, kind, first, second):
    """Change a workload, and take it back and forth; it has one container, then two."""
    file = f"{kind}.yaml"
    undo = ("rollout", "undo", kind)
    cmd.lists(kind)
    # Where it is recorded, the command is: from a folder that has no long name.
    cmd.file(file, (cmd.manifests / file).read_text())
    cmd.file(f"{kind}-2.yaml", (cmd.manifests / f"{kind}-2.yaml").read_text())
    cmd("apply", "-f", file, "--record")
    revision_says(cmd, f"{file} --record")
    cmd(*undo, "--to-revision=1")
    cmd.shows(kind, IMAGES, first)
    cmd("apply", "-f", f"{kind}-2.yaml", "--record")
    cmd.becomes(kind, IMAGES, second)
    revision_says(cmd, f"{kind}-2.yaml --record")
    yield "changed"
    cmd.dry(*undo)
    cmd.shows(kind, IMAGES, second)
    cmd(*undo, "--to-revision=1")
    cmd.becomes(kind, IMAGES, first)
    yield "back"
    said = cmd.fails(*undo, "--to-revision=1000000")
    assert "unable to find specified revision" in said
    cmd.shows(kind, IMAGES, first)
    settles(cmd, kind)
    cmd(*undo)
    cmd.becomes(kind, IMAGES, second)
    yield "forth"


def settles(cmd, kind):
    """Wait until the controller has seen the last change: its revisions are in order then."""
    (found,) = cmd.get(kind)["items"]
    name, generation = found["metadata"]["name"], found["metadata"]["generation"]
    cmd.becomes(f"{kind} {name}", "{{.status.observedGeneration}}", str(generation))


def revision_says(cmd, words):
    def recorded():
        return words in cmd.seen("controllerrevisions", CAUSES)

    cmd.waits(recorded, words)


@case(name="apps: run_daemonset_history_tests")
def test_daemon_set_history(cmd):
    first = "example.com/pause:1:"
    for _ in rolls_back(cmd, "daemonset", first, "example.com/pause:2:example.com/app:1:"):
        settles(cmd, "daemonset")
    cmd("delete", "-f", "daemonset.yaml")


@case(name="apps: run_statefulset_history_tests")
def test_stateful_set_history(cmd):
    images = {1: "example.com/store:1:", 2: "example.com/store:2:example.com/pause:1:"}
    revisions = {"changed": (1, 2), "back": (2, 3), "forth": (3, 4)}
    history = ("rollout", "history", "statefulset")
    for phase in rolls_back(cmd, "statefulset", images[1], images[2]):
        settles(cmd, "statefulset")
        said = cmd(*history)
        assert "statefulset.apps/store" in said
        assert "REVISION  CHANGE-CAUSE" in said
        for number in revisions[phase]:
            assert f"{number}         kubectl apply" in said
        if phase == "changed":
            for number, image in images.items():
                said = cmd(*history, f"--revision={number}")
                assert f"statefulset.apps/store with revision #{number}" in said
                assert "Pod Template:" in said
                assert image.split(":")[1] in said
    cmd("delete", "-f", "statefulset-2.yaml")
    cmd.comes_to("pods -l app=store")


@case(name="apps: run_stateful_set_tests")
def test_stateful_sets(cmd):
    cmd.lists("statefulset")
    made, what = cmd.at("statefulset.yaml"), "statefulset store"
    observed = "{{.status.observedGeneration}}"
    cmd("create", "-f", made)
    cmd.describes_in_chunks("statefulsets", CHUNKED)
    cmd.shows(what, REPLICAS, "0")
    cmd.becomes(what, observed, "1")
    cmd("scale", "--current-replicas=0", "--replicas=1", "statefulset", "store")
    cmd.shows(what, REPLICAS, "1")
    cmd.becomes(what, observed, "2")
    cmd.comes_to("pods -l app=store", "store-0")
    cmd("rollout", "restart", "statefulset", "store")
    cmd.becomes(what, observed, "3")
    cmd("delete", "-f", made)
    cmd.comes_to("pods -l app=store")


@case(name="apps: run_rs_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_replica_sets(cmd):
    deletes_replica_sets(cmd)
    describes_replica_sets(cmd)
    scales_replica_sets(cmd)
    scales_several(cmd)
    changes_replica_sets(cmd)
    deletes_several(cmd)
    autoscales(cmd, "rs", cmd.at("replicaset.yaml"))


def deletes_replica_sets(cmd):
    made, pods = cmd.at("replicaset.yaml"), "pods -l tier=frontend"
    names = "{{range .items}}{{(index .spec.containers 0).name}}:{{end}}"
    cmd.lists("rs")
    cmd("create", "-f", made)
    cmd("delete", "rs", "frontend")
    cmd.comes_to(pods)
    cmd("create", "-f", made)
    cmd.becomes(pods, names, "php:php:php:")
    cmd("delete", "rs", "frontend", "--cascade=orphan")
    cmd.comes_to("rs")
    cmd.shows(pods, names, "php:php:php:")
    cmd("delete", "pods", "-l", "tier=frontend")
    cmd.lists("pods")


def describes_replica_sets(cmd):
    words = ("Name:", "Pod Template:", "Labels:", "Selector:", "Replicas:", "Pods Status:")
    cmd("create", "-f", cmd.at("replicaset.yaml"))
    cmd.lists("rs", "frontend")
    cmd.becomes("rs frontend", "{{.status.replicas}}", "3")
    for what in ("rs frontend", "rs"):
        cmd.describes(what, *words, "Volumes:")
        cmd.describes_events(what)
    cmd.describes("pods", "Name:", "Image:", "Node:", "Labels:", "Status:", "Controlled By")
    cmd.describes_in_chunks("replicasets", CHUNKED)


def scales_replica_sets(cmd):
    scale = ("scale", "--current-replicas=3", "--replicas=2", "replicasets", "frontend")
    cmd.shows("rs frontend", REPLICAS, "3")
    cmd.dry(*scale)
    cmd.shows("rs frontend", REPLICAS, "3")
    cmd(*scale)
    cmd.shows("rs frontend", REPLICAS, "2")
    cmd("delete", "rs", "frontend")


def scales_several(cmd):
    for name in ("one", "two", "three"):
        cmd("create", "deployment", name, "--image=example.com/web:1")
    for name in ("one", "two"):
        cmd("label", "deployment", name, "run=hello")

    def replicas(*expected):
        template = "{{range .items}}{{.spec.replicas}}:{{end}}"
        counts = "".join(f"{count}:" for count in expected)
        cmd.shows("deploy one deploy two deploy three".replace(" deploy", ""), template, counts)

    replicas(1, 1, 1)
    cmd.dry("scale", "deploy", "--replicas=3", "--all")
    replicas(1, 1, 1)
    cmd("scale", "deploy", "--replicas=2", "-l", "run=hello")
    replicas(2, 2, 1)
    cmd("scale", "deploy", "--replicas=3", "--all")
    replicas(3, 3, 3)
    cmd("delete", "deploy", "one", "two", "three")


def changes_replica_sets(cmd):
    cmd("create", "-f", cmd.at("replicaset.yaml"))
    cmd("expose", "rs", "frontend", "--port=80")
    (port,) = cmd.get("service frontend")["spec"]["ports"]
    assert (port.get("name"), port["port"]) == (None, 80)
    cmd("delete", "service", "frontend")
    cmd.shows("rs frontend", GENERATION, "1")
    cmd("set", "image", "rs/frontend", "*=example.com/pause:test")
    cmd.shows("rs frontend", GENERATION, "2")
    cmd("set", "env", "rs/frontend", "foo=bar")
    cmd.shows("rs frontend", GENERATION, "3")
    changes = (
        ("set", "resources", "rs/frontend", "--limits=cpu=200m,memory=512Mi"),
        ("set", "serviceaccount", "rs/frontend", "robot"),
    )
    for number, command in enumerate(changes, 3):
        cmd.dry(*command)
        cmd.shows("rs frontend", GENERATION, str(number))
        cmd(*command)
        cmd.shows("rs frontend", GENERATION, str(number + 1))
    assert "kubectl-set" in cmd.managers("rs frontend")
    cmd("delete", "rs", "frontend")


def deletes_several(cmd):
    cmd.lists("rs")
    cmd("create", "-f", cmd.at("replicaset.yaml"), "-f", cmd.at("replicaset-backend.yaml"))
    cmd.lists("rs", "backend", "frontend")
    cmd("delete", "rs", "frontend", "backend")
    cmd.lists("rs")


def autoscales(cmd, kind, made):
    def aims():
        spec = cmd.get("hpa frontend")["spec"]
        (metric,) = spec["metrics"]
        target = metric["resource"]["target"]
        return spec["minReplicas"], spec["maxReplicas"], target["averageUtilization"]

    cmd("create", "-f", made)
    cmd("autoscale", "-f", made, "--max=2", "--cpu=70%")
    assert aims() == (1, 2, 70)
    cmd("delete", "hpa", "frontend")
    cmd("autoscale", kind, "frontend", "--min=2", "--max=3")
    assert aims() == (2, 3, 80)
    assert "kubectl-autoscale" in cmd.managers("hpa frontend")
    cmd("delete", "hpa", "frontend")
    cmd.fails("autoscale", kind, "frontend")
    cmd("delete", kind, "frontend")
