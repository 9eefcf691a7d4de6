"""`kubectl wait`, for what is there, goes, or comes."""

import functools
import time

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")
IMAGE = "--image=example.com/busybox:1"


def waited(cmd, arguments, begun, then):
    """Return what a wait prints; another command is run once the wait has said that it has begun."""
    with cmd.follow("wait", *arguments, "--timeout=90s", "-v=6") as waiting:
        waiting.sees(begun)
        cmd(*then)
        assert waiting.ends() == 0, waiting.text
    return waiting.text


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
    # A flag for this was tried for a while; this is what it has become.
    create = ("create", "deployment", "test-4", IMAGE)
    assert "test-4 condition met" in waited(
        cmd, ("--for=create", "deploy/test-4"), "404 Not Found", create
    )
    assert "test-4 condition met" in cmd(
        "wait", "--for=jsonpath=.status.replicas=1", "deploy/test-4"
    )
    cmd("delete", "deployment", "test-4")


def times_out(cmd, seconds):
    """Return whether a wait for three pods ends when it was told to, as far as the machine is quick enough."""
    start = time.monotonic()
    bad = ("--selector=tier=web", "--for=condition=InvalidCondition", f"--timeout={seconds}s")
    assert "timed out waiting for the condition" in cmd.fails("wait", "pod", *bad)
    took = time.monotonic() - start
    assert took >= seconds
    return took < 3 * seconds


def waits(cmd, *, created=False):
    for name in ("test-1", "test-2"):
        cmd("create", "deployment", name, IMAGE)
    cmd.lists("deployments", "test-1", "test-2")
    ready = "--for=jsonpath=.status.readyReplicas=1"
    # A slow machine may not have come to wait within a second.
    bounds = (f"--timeout={seconds}s" for seconds in (1, 8, 30))
    assert any("timed out" in cmd.fails("wait", ready, "deploy/test-1", each) for each in bounds)

    delete = ("delete", "deployment", "--all")
    said = waited(cmd, ("deployment", "--for=delete", "--all"), "watch=true", delete)
    assert "test-1 condition met" in said
    assert "test-2 condition met" in said

    cmd("apply", "-f", cmd.at("deployment.yaml"))
    cmd.becomes("deployment web", "{{.status.replicas}}", "3")
    # All three have the time together; one after the other they would take three times as long.
    assert any(times_out(cmd, seconds) for seconds in (1, 8, 30))
    cmd("delete", "deployment", "web")

    cmd("create", "deployment", "test-3", IMAGE)
    if created:
        assert "test-3 condition met" in cmd("wait", "--for=create", "deploy/test-3")
    said = cmd("wait", "--for=jsonpath={.status.replicas}", "deploy/test-3")
    assert "deployment.apps/test-3 condition met" in said
    image = 'spec.template.spec.containers[?(@.name=="busybox")].image=example.com/busybox:1'
    said = cmd("wait", f"--for=jsonpath={image}", "deploy/test-3")
    assert "deployment.apps/test-3 condition met" in said
