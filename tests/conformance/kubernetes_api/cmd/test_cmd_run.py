"""`kubectl run`."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


@case(name="run: run_kubectl_run_tests")
def test_run(cmd):
    image = "--image=example.com/web:1"
    cmd.dry("run", "web", image)
    cmd.lists("pods")
    cmd("run", "web", image)
    cmd.lists("pods", "web")
    cmd("delete", "pod", "web")
    assert "pod/test1 created" in cmd("run", "test1", "--image=validname")
    cmd("delete", "pods", "test1")
    said = cmd.fails("run", "test2", "--image=InvalidImageName")
    assert 'invalid image name "InvalidImageName": invalid reference format' in said
