"""Credentials that a program gives."""

import base64
import functools
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")
VERSIONS = ("client.authentication.k8s.io/v1beta1", "client.authentication.k8s.io/v1")


def config_of(cmd, user, **execution):
    """Write a kubeconfig for the case's server whose user is one a program speaks for."""
    own = yaml.safe_load(cmd.kubeconfig.read_text())
    context = {"cluster": "test", "user": user}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": own["clusters"][0]["cluster"]}],
        "contexts": [{"name": "test", "context": context}],
        "current-context": "test",
        "users": [{"name": user, "user": {"exec": execution}}],
    }
    return cmd.file(f"{user}.yaml", config)


def telling(version, token):
    """Return the part of a kubeconfig that has a program tell a token."""
    told = json.dumps({"apiVersion": version, "status": {"token": token}})
    return {"apiVersion": version, "command": "echo", "args": [told]}


@case(name="authentication: run_exec_credentials_tests")
def test_credentials_of_a_program(cmd, admin_token, request_file):
    for version in VERSIONS:
        flags_come_before_the_program(cmd, version, admin_token)
    certificate_comes_before_the_program(cmd, request_file)


def flags_come_before_the_program(cmd, version, token):
    get = ("get", "namespace", "kube-system", "-o", "name")
    # Any program that tells no credentials will do.
    unable = {"apiVersion": version, "command": "ls", "interactiveMode": "IfAvailable"}
    broken = ("--kubeconfig", config_of(cmd, "broken", **unable))
    assert cmd.out(*get, *broken, f"--token={token}") == "namespace/kube-system\n"
    assert "json parse error" in cmd.fails(*get, *broken)
    able = telling(version, token) | {"interactiveMode": "IfAvailable"}
    good = ("--kubeconfig", config_of(cmd, "good", **able))
    assert cmd.out(*get, *good) == "namespace/kube-system\n"
    said = cmd.fails(*get, *good, "--username=bad", "--password=wrong")
    # What kubectl makes of the answer 401.
    assert "You must be logged in to the server" in said


def certificate_comes_before_the_program(cmd, request_file):
    name = cmd.namespace
    cmd("create", "-f", request_file)
    cmd("certificate", "approve", name)
    cmd.becomes(f"csr/{name}", "{{if .status.certificate}}there{{end}}", "there")
    issued = cmd.out("get", "csr", name, "-o", "jsonpath={.status.certificate}")
    (cmd.home / "user.crt").write_bytes(base64.b64decode(issued))
    certificate = (
        f"--client-certificate={cmd.home}/user.crt",
        f"--client-key={cmd.home}/{name}.key",
    )
    broken = {"apiVersion": VERSIONS[1], "command": "ls", "interactiveMode": "IfAvailable"}
    get = ("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    said = cmd.out(*get, *certificate, f"--kubeconfig={config_of(cmd, 'broken', **broken)}")
    assert said == name
    version = f"--exec-api-version={VERSIONS[0]}"
    cmd("config", "set-credentials", "both", *certificate, version, "--exec-command=ls")
    assert cmd.out(*get, "--user=both") == name
    cmd("delete", "csr", name)


@case(name="authentication: run_exec_credentials_interactive_tests")
def test_credentials_of_a_program_that_asks(cmd, admin_token):
    for version in VERSIONS:
        does_not_share_its_input(cmd, version, admin_token)
    get = ("get", "namespace", "kube-system", "-o", "name")
    silent = config_of(cmd, "silent", **telling(VERSIONS[1], admin_token))
    said = cmd.fails(*get, f"--kubeconfig={silent}")
    expected = "interactiveMode must be specified for silent to use exec authentication plugin"
    assert expected in said
    silent = config_of(cmd, "silent", **telling(VERSIONS[0], admin_token))
    assert cmd.out(*get, f"--kubeconfig={silent}") == "namespace/kube-system\n"


def does_not_share_its_input(cmd, version, token):
    asking = telling(version, token) | {"interactiveMode": "Always"}
    asking = f"--kubeconfig={config_of(cmd, 'asking', **asking)}"
    thing = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"thing"}}\n'
    for command, text in (
        ("apply -f -", thing),
        ("set env deployment/none -", "KEY=VALUE\n"),
        ("replace -f - --force", thing),
    ):
        assert "used by stdin resource manifest reader" in at_terminal(cmd, asking, command, text)


def at_terminal(cmd, flag, command, text):
    """Run a command whose three streams are one terminal; return what appeared there."""
    own, other = pty.openpty()
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("kubectl")), flag, *command.split()],
        env=cmd.kubectl.environment,
        cwd=cmd.home,
        stdin=other,
        stdout=other,
        stderr=other,
    ) as process:
        os.close(other)
        # The second: what ends the input of a terminal.
        os.write(own, text.encode() + b"\x04")
        seen = b""
        try:
            while chunk := os.read(own, 4096):
                seen += chunk
        except OSError:
            # The other end is closed: the command has ended.
            pass
        process.wait(90)
    os.close(own)
    return seen.decode()
