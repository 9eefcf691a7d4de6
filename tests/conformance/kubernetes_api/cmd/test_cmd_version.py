"""`kubectl version`: client and server, in each form the same."""

import functools
import json

import pytest
import yaml

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


def line(text, side):
    return next((one for one in text.splitlines() if one.startswith(f"{side} Version:")), "")


@case(name="version: run_kubectl_version_tests")
def test_version(cmd):
    raw = json.loads(cmd.out("get", "--raw", "/version"))
    plain = cmd.out("version")
    only = cmd.out("version", "--client")
    assert line(plain, "Client") == line(only, "Client") != ""
    assert line(plain, "Server").endswith(raw["gitVersion"])
    assert line(only, "Server") == ""

    found = json.loads(cmd.out("version", "-o", "json"))
    assert line(plain, "Client").endswith(found["clientVersion"]["gitVersion"])
    assert found["serverVersion"]["gitVersion"] == raw["gitVersion"]
    client = json.loads(cmd.out("version", "--client", "-o", "json"))
    assert client["clientVersion"] == found["clientVersion"]
    assert "serverVersion" not in client
    assert yaml.safe_load(cmd.out("version", "-o", "yaml")) == found
