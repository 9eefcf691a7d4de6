"""`kubectl debug`: containers added to a pod, to a copy of it, and to a node."""

import functools
import json
from typing import Any

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

WEB = "example.com/web:1"
DEBUG = ("--image=busybox", "--attach=false")
ADDED = "{{range .spec.ephemeralContainers}}{{.name}}:{{.image}}{{end}}"


def run_target(cmd):
    cmd("run", "target", f"--image={WEB}")
    cmd.lists("pod", "target")


def restricted(**seccomp):
    """Return a pod that the strictest standard admits."""
    security = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": seccomp,
    }
    container = {"name": "target", "image": "busybox", "securityContext": security}
    metadata = {"name": "target"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container]},
    }


RESTRICTED = (
    {"type": "RuntimeDefault"},
    {"type": "Localhost", "localhostProfile": "profile.json"},
)


def adds(cmd, *flags, space=""):
    """Debug the pod `target` by one more container; return that one."""
    there = ("-n", space or cmd.namespace)
    command = ("debug", "target", "-it", *DEBUG, "-c", "debugger", *flags, *there)
    assert "forbidden: violates PodSecurity" not in cmd(*command)
    spec = cmd.get(f"pod/target -n {there[1]}")["spec"]
    (added,) = spec["ephemeralContainers"]
    assert (added["name"], added["image"]) == ("debugger", "busybox")
    return added


def copies(cmd, *flags, space="", image=WEB):
    """Debug a copy of the pod `target`; return the copy's spec."""
    there = ("-n", space or cmd.namespace)
    to = ("--copy-to=target-copy", "--container=debugger")
    cmd("debug", "target", "-it", *DEBUG, *to, *flags, *there)
    spec = cmd.get(f"pod/target-copy -n {there[1]}")["spec"]
    assert [one["name"] for one in spec["containers"]] == ["target", "debugger"]
    assert [one["image"] for one in spec["containers"]] == [image, "busybox"]
    return spec


def forget(cmd, *names, space=""):
    cmd("delete", "pod", *names, "-n", space or cmd.namespace, "--force")


def node_pod(cmd, *flags, space=""):
    """Debug the node; return the spec of the pod that does so."""
    there = ("-n", space or cmd.namespace)
    node = cmd.get("nodes")["items"][0]["metadata"]["name"]
    said = cmd("debug", f"node/{node}", *DEBUG, *flags, *there, "--", "true")
    assert "forbidden: violates PodSecurity" not in said
    (pod,) = cmd.get(f"pod -n {there[1]}")["items"]
    name, spec = pod["metadata"]["name"], pod["spec"]
    assert name in said
    assert (spec["containers"][0]["image"], spec["nodeName"]) == ("busybox", node)
    forget(cmd, name, space=there[1])
    return spec


def shares_the_host(spec):
    return [bool(spec.get(field)) for field in ("hostIPC", "hostNetwork", "hostPID")]


def mounts_the_host(spec):
    (container,) = spec["containers"]
    assert container["volumeMounts"][0]["mountPath"] == "/host"
    assert spec["volumes"][0]["hostPath"]["path"] == "/"


def has_no_probes(spec):
    probes = ("livenessProbe", "readinessProbe", "startupProbe")
    return not any(container.get(probe) for container in spec["containers"] for probe in probes)


@case(name="debug: run_kubectl_debug_pod_tests")
@pytest.mark.slow
def test_debug_pod(cmd):
    run_target(cmd)
    adds(cmd)
    forget(cmd, "target")
    run_target(cmd)
    copies(cmd)
    cmd.lists("pod", "target", "target-copy")
    forget(cmd, "target", "target-copy")
    run_target(cmd)
    copies(cmd, "--replace")
    cmd.comes_to("pod", "target-copy")
    forget(cmd, "target-copy")
    run_target(cmd)
    dump = cmd.file("target.yaml", cmd.out("get", "pod/target", "-o", "yaml"))
    for which in (("target",), ("-f", dump)):
        other = ("--image=busybox", "--container=target", "--copy-to=target-copy")
        cmd("debug", *which, *other, "--", "sleep", "1m")
        (container,) = cmd.get("pod/target-copy")["spec"]["containers"]
        assert container["image"] == "busybox"
        forget(cmd, "target-copy")
    forget(cmd, "target")


@case(name="debug: run_kubectl_debug_node_tests")
def test_debug_node(cmd):
    spec = node_pod(cmd)
    assert shares_the_host(spec) == [True, True, True]
    mounts_the_host(spec)


@case(name="debug: run_kubectl_debug_general_tests")
def test_debug_general(cmd):
    run_target(cmd)
    spec = copies(cmd, "--profile=general")
    assert has_no_probes(spec)
    assert spec["containers"][1]["securityContext"]["capabilities"]["add"] == ["SYS_PTRACE"]
    assert spec["shareProcessNamespace"] is True
    assert adds(cmd, "--profile=general")["securityContext"]["capabilities"]["add"] == [
        "SYS_PTRACE"
    ]
    forget(cmd, "target", "target-copy")


@case(name="debug: run_kubectl_debug_general_node_tests")
def test_debug_general_node(cmd):
    spec = node_pod(cmd, "--profile=general")
    assert shares_the_host(spec) == [True, True, True]
    mounts_the_host(spec)
    assert not spec["containers"][0].get("securityContext")


@case(name="debug: run_kubectl_debug_baseline_tests")
def test_debug_baseline(cmd):
    run_target(cmd)
    spec = copies(cmd, "--profile=baseline")
    assert has_no_probes(spec)
    assert not spec["containers"][0].get("securityContext")
    assert spec["shareProcessNamespace"] is True
    assert not adds(cmd, "--profile=baseline").get("securityContext")
    forget(cmd, "target", "target-copy")


@case(name="debug: run_kubectl_debug_baseline_node_tests")
def test_debug_baseline_node(cmd):
    spec = node_pod(cmd, "--profile=baseline")
    assert shares_the_host(spec) == [False, False, False]
    assert not spec["containers"][0].get("securityContext")


@case(name="debug: run_kubectl_debug_restricted_tests")
def test_debug_restricted(cmd):
    run_target(cmd)
    copies(cmd, "--profile=restricted")
    adds(cmd, "--profile=restricted")
    forget(cmd, "target", "target-copy")
    space = cmd.make_space("pod-security.kubernetes.io/enforce=restricted")
    for seccomp in RESTRICTED:
        made = cmd.file("restricted.yaml", restricted(**seccomp))
        cmd("create", "-f", made, "-n", space)
        copies(cmd, "--profile=restricted", space=space, image="busybox")
        adds(cmd, "--profile=restricted", space=space)
        forget(cmd, "target", "target-copy", space=space)


@case(name="debug: run_kubectl_debug_restricted_node_tests")
def test_debug_restricted_node(cmd):
    for space in ("", cmd.make_space("pod-security.kubernetes.io/enforce=restricted")):
        spec = node_pod(cmd, "--profile=restricted", space=space)
        assert shares_the_host(spec) == [False, False, False]
        security = spec["containers"][0]["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"]["type"] == "RuntimeDefault"


@case(name="debug: run_kubectl_debug_netadmin_tests")
def test_debug_netadmin(cmd):
    both = ["NET_ADMIN", "NET_RAW"]
    run_target(cmd)
    spec = copies(cmd, "--profile=netadmin")
    assert spec["shareProcessNamespace"] is True
    assert spec["containers"][1]["securityContext"]["capabilities"]["add"] == both
    assert adds(cmd, "--profile=netadmin")["securityContext"]["capabilities"]["add"] == both
    forget(cmd, "target", "target-copy")


@case(name="debug: run_kubectl_debug_netadmin_node_tests")
def test_debug_netadmin_node(cmd):
    spec = node_pod(cmd, "--profile=netadmin")
    assert shares_the_host(spec)[1:] == [True, True]
    security = spec["containers"][0]["securityContext"]
    assert security["capabilities"]["add"] == ["NET_ADMIN", "NET_RAW"]


@case(name="debug: run_kubectl_debug_custom_profile_tests")
def test_debug_custom_profile(cmd):
    first = [{"name": "VAR1", "value": "value1"}, {"name": "VAR2", "value": "value2"}]
    second = [{"name": "VAR3", "value": "value3"}, {"name": "VAR4", "value": "value4"}]
    json_ = f"--custom={cmd.file('profile.json', json.dumps({'env': first}))}"
    yaml_ = f"--custom={cmd.file('profile.yaml', {'env': second})}"
    run_target(cmd)
    assert adds(cmd, "--profile=general", json_)["env"] == first
    more = ("debug", "target", "-it", *DEBUG, "-c", "second", "--profile=general", yaml_)
    cmd(*more)
    added = cmd.get("pod/target")["spec"]["ephemeralContainers"]
    assert [one["name"] for one in added] == ["debugger", "second"]
    assert added[1]["env"] == second
    assert copies(cmd, "--profile=general", json_)["containers"][1]["env"] == first
    forget(cmd, "target", "target-copy")
    assert node_pod(cmd, "--profile=general", yaml_)["containers"][0]["env"] == second


@case(name="debug: run_kubectl_debug_warning_tests")
def test_debug_warns(cmd):
    spec: dict[str, Any] = {"containers": [{"name": "target", "image": "busybox"}]}
    spec["securityContext"] = {"runAsNonRoot": True, "runAsUser": 1000}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "target"}, "spec": spec}
    cmd("create", "-f", cmd.file("target.yaml", pod))
    warning = "Warning: Non-root user is configured for the entire target Pod"
    debug = ("debug", "target", "-it", *DEBUG, "--container=debugger", "--profile=netadmin")
    assert warning in cmd(*debug)
    assert warning in cmd(*debug, "--copy-to=target-copy")
    forget(cmd, "target", "target-copy")
