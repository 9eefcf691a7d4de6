"""Services, and controllers of replicas with what exposes and scales them."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

REPLICAS = "{{.spec.replicas}}"
SELECTOR = "{{range .spec.selector}}{{.}}:{{end}}"
BACKEND = {"app": "store", "role": "first", "tier": "backend"}
ORIGINAL = "store:first:backend:"


def service(name, selector, **spec):
    ports = [{"port": 6379, "targetPort": 6379}]
    spec = {"ports": ports, "selector": selector, **spec}
    metadata = {"name": name, "labels": selector}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


@case(name="core: run_service_tests")
@pytest.mark.slow
def test_services(cmd):
    made = cmd.file("service.yaml", service("store", BACKEND))
    cmd.lists("services")
    cmd("create", "-f", made)
    cmd.lists("services", "store")
    describes_services(cmd)
    sets_selectors(cmd, made)
    recreates_services(cmd)
    creates_several(cmd, made)
    creates_external_names(cmd)
    exposes_pods(cmd)


def describes_services(cmd):
    words = ("Name:", "Labels:", "Selector:", "IP:", "Port:", "Endpoints:", "Session Affinity:")
    for what in ("services store", "services"):
        cmd.describes(what, *words)
        cmd.describes_events(what)
    cmd.describes_in_chunks("services", "events")


def sets_selectors(cmd, made):
    set_ = ("set", "selector")
    cmd.shows("services store", SELECTOR, ORIGINAL)
    cmd(*set_, "-f", made, "role=padawan", "--local", "-o", "yaml")
    cmd(*set_, "-f", made, "role=padawan", "--dry-run=client", "-o", "yaml")
    cmd(*set_, "-f", made, "role=padawan")
    cmd.shows("services store", SELECTOR, "padawan:")
    cmd(*set_, "-f", made, "app=store,role=first,tier=backend")
    cmd.shows("services store", SELECTOR, ORIGINAL)
    change = (*set_, "services", "store", "role=padawan")
    cmd.dry(*change, "-o", "yaml")
    assert "kubectl-set" in cmd.managers("services store")
    cmd.fails(*change, "--local", "-o", "yaml")
    cmd.shows("services store", SELECTOR, ORIGINAL)
    version = cmd.seen("services store", "{{.metadata.resourceVersion}}")
    change = (*set_, "services", "store", "tested=true")
    cmd(*change, f"--resource-version={version}")
    assert "Conflict" in cmd.fails(*change, "--resource-version=1")


def recreates_services(cmd):
    dump = cmd.out("get", "service", "store", "-o", "json")
    cmd("delete", "service", "store")
    cmd.lists("services")
    cmd("create", "-f", "-", text=dump)
    cmd.lists("services", "store")
    bare = service("v1-test", {})
    del bare["spec"]["selector"], bare["metadata"]["labels"]
    cmd("create", "-f", cmd.file("bare.yaml", bare))
    cmd.lists("services", "store", "v1-test")
    cmd("replace", "-f", "-", text=cmd.out("get", "service", "v1-test", "-o", "json"))
    cmd("delete", "service", "store")
    cmd("delete", "service", "v1-test")
    cmd.lists("services")


def creates_several(cmd, made):
    cmd("create", "-f", made)
    cmd("create", "-f", cmd.file("other.yaml", service("store-2", {"app": "store"})))
    cmd.lists("services", "store", "store-2")
    columns = "-o=custom-columns=NAME:.metadata.name,RSRC:.metadata.resourceVersion"
    assert "store-2" in cmd("get", "services", columns)
    cmd("delete", "services", "store", "store-2")
    cmd.lists("services")


def creates_external_names(cmd):
    create = ("create", "service", "externalname", "beep", "--external-name", "bar.com")
    cmd.dry(*create)
    cmd.lists("services")
    cmd(*create)
    cmd.lists("services", "beep")
    cmd("delete", "service", "beep")
    cmd.lists("services")


def exposes_pods(cmd):
    run = ("run", "web", "--image=example.com/web:1", "--port=80", "--expose")
    cmd.dry(*run)
    cmd.lists("services")
    cmd(*run)
    cmd.lists("pods", "web")
    cmd.shows("service web", "{{(index .spec.ports 0).port}}", "80")
    assert "kubectl-run" in cmd.managers("pod web")
    extra = '{"metadata": {"annotations": {"zone-context": "work"}}}'
    flags = ("--port=1000", "--target-port=80", "--type=NodePort", "--name=exposed")
    cmd("expose", "pod", "web", *flags, f"--overrides={extra}")
    assert cmd.get("service exposed")["metadata"]["annotations"] == {"zone-context": "work"}
    assert "kubectl-expose" in cmd.managers("service exposed")
    cmd("delete", "service", "exposed", "web")
    cmd("delete", "pod", "web")


@case(name="core: run_rc_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_replication_controllers(cmd):
    made = cmd.at("controller.yaml")
    cmd.lists("rc")
    cmd("create", "-f", made)
    cmd("delete", "rc", "frontend")
    cmd.comes_to("pods -l tier=frontend")
    describes_controllers(cmd, made)
    scales_controllers(cmd, made)
    exposes_deployments(cmd)
    exposes_controllers(cmd, made)
    exposes_by_name(cmd)
    deletes_controllers(cmd, made)
    autoscales_controllers(cmd, made)
    sets_resources(cmd)


def describes_controllers(cmd, made):
    words = ("Name:", "Pod Template:", "Labels:", "Selector:", "Replicas:", "Pods Status:")
    cmd("create", "-f", made)
    cmd.lists("rc", "frontend")
    for what in ("rc frontend", "rc"):
        cmd.describes(what, *words, "Volumes:", "HOSTS_FROM:")
        cmd.describes_events(what)
    cmd.describes_in_chunks("replicationcontrollers", "events")


def scales_controllers(cmd, made):
    scale, rc = ("scale", "replicationcontrollers", "frontend"), "rc frontend"
    cmd.shows(rc, REPLICAS, "3")
    cmd(*scale, "--current-replicas=3", "--replicas=2")
    cmd.shows(rc, REPLICAS, "2")
    cmd.fails(*scale, "--current-replicas=3", "--replicas=2")
    cmd.shows(rc, REPLICAS, "2")
    cmd(*scale, "--replicas=3")
    cmd.shows(rc, REPLICAS, "3")
    cmd("scale", "--replicas=2", "-f", made)
    cmd.shows(rc, REPLICAS, "2")
    cmd("create", "-f", cmd.at("controller-backend.yaml"))
    cmd("scale", "rc/frontend", "rc/backend", "--replicas=4")
    cmd.shows(rc, REPLICAS, "4")
    cmd.shows("rc backend", REPLICAS, "4")
    cmd("delete", "rc", "frontend", "backend")
    cmd("create", "-f", cmd.at("deployment.yaml"))
    cmd("scale", "--current-replicas=3", "--replicas=1", "deployment/web")
    cmd.shows("deployment web", REPLICAS, "1")
    cmd("delete", "deployment/web")


def exposes_deployments(cmd):
    made = cmd.at("deployment.yaml")
    assert "service/web exposed" in cmd("expose", "-f", made, "--port=80")
    cmd("delete", "service/web")
    bare = cmd.change(
        "deployment.yaml", "selector:\n    matchLabels:\n      tier: web", "paused: false"
    )
    assert "invalid deployment: no selectors" in cmd.fails("expose", "-f", bare, "--port=80")
    cmd("create", "-f", made)
    cmd.shows("deployment web", REPLICAS, "3")
    cmd("expose", "deployment/web")
    cmd.shows("service web", "{{(index .spec.ports 0).port}}", "80")
    cmd("delete", "deployment/web", "service/web")


def has_ports(cmd, name, *ports):
    found = cmd.get(f"service {name}")["spec"]["ports"]
    assert [(port.get("name"), port["port"]) for port in found] == list(ports)


def exposes_controllers(cmd, made):
    cmd("create", "-f", made)
    cmd.shows("rc frontend", REPLICAS, "3")
    cmd("expose", "rc", "frontend", "--port=80")
    has_ports(cmd, "frontend", (None, 80))
    cmd("expose", "service", "frontend", "--port=443", "--name=frontend-2")
    has_ports(cmd, "frontend-2", (None, 443))
    cmd("create", "-f", cmd.at("valid-pod.yaml"))
    cmd("expose", "pod", "valid-pod", "--port=444", "--name=frontend-3")
    has_ports(cmd, "frontend-3", (None, 444))
    cmd("expose", "service", "frontend", "--name=frontend-4")
    has_ports(cmd, "frontend-4", (None, 80))
    cmd("delete", "pod", "valid-pod")
    cmd("delete", "service", "frontend", "frontend-2", "frontend-3", "frontend-4")


def exposes_by_name(cmd):
    node = cmd.get("nodes")["items"][0]["metadata"]["name"]
    assert "cannot expose" in cmd.fails("expose", "nodes", node)
    name = "a-name-that-goes-on-and-on-until-sixty-three-characters-are-past-at-last"
    long = cmd.change("valid-pod.yaml", "name: valid-pod\n  labels", f"name: {name}\n  labels")
    expose = ("expose", "-f", long, "--port=8081")
    said = cmd.fails(*expose, f"--name={name}")
    assert "metadata.name: Invalid value" in said
    assert f"service/{name[:63]} exposed" in cmd(*expose)
    cmd("delete", "svc", name[:63])
    ports = [{"name": "peers", "containerPort": 2380}, {"name": "clients", "containerPort": 2379}]
    container = {"name": "store", "image": "example.com/store:1", "ports": ports}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ported"}}
    several = cmd.file("ported.yaml", pod | {"spec": {"containers": [container]}})
    assert "ported exposed" in cmd("expose", "-f", several, "--selector=test=store")
    has_ports(cmd, "ported", ("port-1", 2380), ("port-2", 2379))
    cmd("delete", "svc", "ported")


def deletes_controllers(cmd, made):
    cmd.lists("rc", "frontend")
    cmd("delete", "rc", "frontend")
    cmd.lists("rc")
    cmd("create", "-f", made, "-f", cmd.at("controller-backend.yaml"))
    cmd.lists("rc", "backend", "frontend")
    cmd("delete", "rc", "frontend", "backend")
    cmd.lists("rc")


def autoscales_controllers(cmd, made):
    def aims():
        spec = cmd.get("hpa frontend")["spec"]
        target = spec["metrics"][0]["resource"]["target"]
        return spec["minReplicas"], spec["maxReplicas"], target["averageUtilization"]

    cmd("create", "-f", made)
    cmd("autoscale", "-f", made, "--max=2", "--cpu=70%")
    assert aims() == (1, 2, 70)
    cmd("delete", "hpa", "frontend")
    cmd("autoscale", "rc", "frontend", "--min=2", "--max=3")
    assert aims() == (2, 3, 80)
    cmd("delete", "hpa", "frontend")
    cmd.fails("autoscale", "rc", "frontend")
    cmd("delete", "rc", "frontend")


def sets_resources(cmd):
    made = cmd.at("deployment-two.yaml")
    set_ = ("set", "resources")
    of_file = (*set_, "-f", made, "-c=side", "--limits=cpu=300m", "--requests=cpu=300m")
    live = (*set_, "deployment", "pair")

    def resources():
        pods = cmd.get("deployment pair")["spec"]["template"]["spec"]
        return [one["resources"] for one in pods["containers"]]

    cmd.lists("deployment")
    cmd(*of_file, "--local", "-o", "yaml")
    cmd.fails(*of_file, "--dry-run=client", "-o", "yaml")
    cmd("create", "-f", made)
    cmd(*live, "--limits=cpu=100m")
    assert [one["limits"]["cpu"] for one in resources()] == ["100m", "100m"]
    cmd.fails(*live, "-c=redis", "--limits=cpu=100m")
    cmd(*live, "-c=web", "--limits=cpu=200m")
    assert [one["limits"]["cpu"] for one in resources()] == ["200m", "100m"]
    cmd(*of_file)
    after = [{"limits": {"cpu": "200m"}}, {"limits": {"cpu": "300m"}, "requests": {"cpu": "300m"}}]
    assert resources() == after
    change = (*live, "-c=side", "--limits=cpu=400m", "--requests=cpu=400m")
    cmd.dry(*change, "-o", "yaml")
    cmd.fails(*change, "--local", "-o", "yaml")
    assert resources() == after
    cmd("delete", "deployment", "pair")
