"""`kubectl wait`, for what is there, goes, or comes."""

import functools
import threading
import time

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")
IMAGE = "--image=example.com/busybox:1"


def later(cmd, seconds, *arguments):
    """Have a command run while another waits."""
    timer = threading.Timer(seconds, cmd.run, arguments)
    timer.start()
    return timer


@case(name="wait: run_wait_tests")
def test_wait(cmd):
    waits(cmd)
    created = cmd.run("wait", "--for=jsonpath={.status.replicas}", "deploy/test-3", "--timeout=0")
    assert "deployment.apps/test-3 condition met" in created.out
    cmd("delete", "deployment", "test-3")


@case(name="wait: run_wait_with_non_existence_check_tests")
@pytest.mark.slow
def test_wait_for_creation(cmd):
    waits(cmd, created=True)
    cmd("delete", "deployment", "test-3")
    timer = later(cmd, 1, "create", "deployment", "test-4", IMAGE)
    # A flag for this was tried for a while; this is what it has become.
    assert "test-4 condition met" in cmd("wait", "--for=create", "deploy/test-4")
    assert "test-4 condition met" in cmd(
        "wait", "--for=jsonpath=.status.replicas=1", "deploy/test-4"
    )
    timer.join()
    cmd("delete", "deployment", "test-4")


def waits(cmd, *, created=False):
    for name in ("test-1", "test-2"):
        cmd("create", "deployment", name, IMAGE)
    cmd.lists("deployments", "test-1", "test-2")
    ready = "--for=jsonpath=.status.readyReplicas=1"
    assert "timed out" in cmd.fails("wait", ready, "deploy/test-1", "--timeout=1s")

    timer = later(cmd, 1, "delete", "deployment", "--all")
    said = cmd("wait", "deployment", "--for=delete", "--all")
    assert "test-1 condition met" in said
    assert "test-2 condition met" in said
    timer.join()

    cmd("apply", "-f", cmd.at("deployment.yaml"))
    cmd.becomes("deployment web", "{{.status.replicas}}", "3")
    start = time.monotonic()
    bad = ("--selector=tier=web", "--for=condition=InvalidCondition", "--timeout=1s")
    said = cmd.fails("wait", "pod", *bad)
    assert "timed out waiting for the condition" in said
    assert 1 <= time.monotonic() - start < 4
    cmd("delete", "deployment", "web")

    cmd("create", "deployment", "test-3", IMAGE)
    if created:
        assert "test-3 condition met" in cmd("wait", "--for=create", "deploy/test-3")
    said = cmd("wait", "--for=jsonpath={.status.replicas}", "deploy/test-3")
    assert "deployment.apps/test-3 condition met" in said
    image = 'spec.template.spec.containers[?(@.name=="busybox")].image=example.com/busybox:1'
    said = cmd("wait", f"--for=jsonpath={image}", "deploy/test-3")
    assert "deployment.apps/test-3 condition met" in said
