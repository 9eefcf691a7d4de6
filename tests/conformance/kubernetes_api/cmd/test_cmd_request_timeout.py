"""A limit to how long a command may take."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


@case(name="request-timeout: run_kubectl_request_timeout_tests")
def test_request_timeout(cmd):
    cmd.lists("pods")
    cmd("create", "-f", cmd.at("valid-pod.yaml"))
    cmd.lists("pods", "valid-pod")
    get = ("get", "pod", "valid-pod")
    assert "valid-pod" in cmd(*get, "--request-timeout=60")
    # Only who asks for it is told that it was the client who ended the watch, by whichever of its
    # two clocks strikes first.
    cut = "Client.Timeout.* while reading body|context deadline exceeded"
    cmd.cut(*get, "--watch", "-v=8", words=[cut])
    assert "valid-pod" in cmd(*get, "--request-timeout=60s")
    assert "Invalid timeout value" in cmd.fails(*get, "--request-timeout=1p")
    cmd("delete", "pods", "valid-pod")
