"""`kubectl config`, and what a kubeconfig that is wrong leads to."""

import base64
import functools
import json

import pytest
import yaml

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")
DATA = "certificate-authority-data"


def raw(cmd, kind, name):
    """Return one entry of the kubeconfig, with its secrets."""
    entries = json.loads(cmd.out("config", "view", "--raw", "-o", "json"))[f"{kind}s"]
    return next(one[kind] for one in entries if one["name"] == name)


def authority(cmd):
    """Return the path of a certificate."""
    return cmd.platform.directory / "pki" / "ca.crt"


def file(cmd, value):
    """Return the path that a kubeconfig means: it may be told from where the file is."""
    return (cmd.home / value).resolve()


@case(name="kubeconfig: run_kubectl_config_set_tests")
def test_config_set(cmd):
    key = f"clusters.test-cluster.{DATA}"
    cmd("config", "set-cluster", "test-cluster", "--server=https://does-not-work")
    # It begins with a comment, lest it be taken for a flag.
    text = "#Comment\n" + authority(cmd).read_text()
    cmd("config", "set", key, text, "--set-raw-bytes")
    plain = raw(cmd, "cluster", "test-cluster")[DATA]
    cmd("config", "set", key, base64.b64encode(text.encode()).decode())
    assert raw(cmd, "cluster", "test-cluster")[DATA] == plain
    assert base64.b64decode(plain).decode() == text


@case(name="kubeconfig: run_kubectl_config_set_cluster_tests")
def test_config_set_cluster(cmd):
    path = authority(cmd)
    text = base64.b64encode(path.read_bytes()).decode()
    set_ = ("config", "set-cluster")
    cmd(*set_, "test-1", f"--certificate-authority={path}")
    assert file(cmd, raw(cmd, "cluster", "test-1")["certificate-authority"]) == path
    cmd(*set_, "test-2", "--embed-certs", f"--certificate-authority={path}")
    assert raw(cmd, "cluster", "test-2")[DATA] == text
    # From a pipe, as a shell's `<(…)` is.
    flags = ("--embed-certs", "--certificate-authority=/dev/stdin")
    cmd(*set_, "test-3", *flags, text=path.read_text())
    assert raw(cmd, "cluster", "test-3")[DATA] == text


@case(name="kubeconfig: run_kubectl_config_set_credentials_tests")
def test_config_set_credentials(cmd, request_file):
    certificate, key = authority(cmd), cmd.home / f"{cmd.namespace}.key"
    set_ = ("config", "set-credentials")
    files = (f"--client-certificate={certificate}", f"--client-key={key}")
    cmd(*set_, "user1", *files)
    user = raw(cmd, "user", "user1")
    assert user.keys() == {"client-certificate", "client-key"}
    assert file(cmd, user["client-certificate"]) == certificate
    assert file(cmd, user["client-key"]) == key
    cmd(*set_, "user2", *files, "--embed-certs=true")
    embedded = {
        "client-certificate-data": base64.b64encode(certificate.read_bytes()).decode(),
        "client-key-data": base64.b64encode(key.read_bytes()).decode(),
    }
    assert raw(cmd, "user", "user2") == embedded
    pipe = (files[0], "--client-key=/dev/stdin", "--embed-certs=true")
    cmd(*set_, "user3", *pipe, text=key.read_text())
    assert raw(cmd, "user", "user3") == embedded


@case(name="kubeconfig: run_client_config_tests")
def test_client_config(cmd):
    get = ("get", "pod")
    for flag in ("--context=", "--user=", "--cluster="):
        said = cmd.fails(*get, flag, "--kubeconfig=missing")
        assert "missing: no such file or directory" in said
    for flag, complaint in (
        ("--context=nowhere", "context was not found for specified context: nowhere"),
        ("--cluster=nowhere", 'no server found for cluster "nowhere"'),
        ("--user=nobody", 'auth info "nobody" does not exist'),
        ("--kubeconfig=missing-config", "no such file or directory"),
    ):
        assert complaint in cmd.fails(*get, flag)
    config = yaml.safe_load(cmd.out("config", "view")) | {"apiVersion": "v-1"}
    broken = cmd.file("broken.yaml", config)
    said = cmd.fails(*get, "--context=", "--user=", f"--kubeconfig={broken}")
    assert "error loading config file" in said


@case(name="kubeconfig: run_kubeconfig_impersonate_tests")
def test_impersonating_kubeconfig(cmd, admin_token, request_file):
    config = yaml.safe_load(cmd.out("config", "view", "--raw"))
    acting = {
        "token": admin_token,
        "as": "userb",
        "as-uid": "abc123",
        "as-groups": ["system:masters", "group1"],
        "as-user-extra": {"foo": ["bar", "baz"]},
    }
    config["users"] = [
        {"name": "admin-as-userb", "user": acting},
        {"name": "uid-alone", "user": {"token": admin_token, "as-uid": "abc123"}},
    ]
    other = f"--kubeconfig={cmd.file('impersonate.yaml', config)}"
    cmd("create", "-f", request_file, other, "--user=admin-as-userb")
    spec = cmd.get(f"csr/{cmd.namespace}")["spec"]
    assert (spec["username"], spec["uid"]) == ("userb", "abc123")
    assert spec["groups"] == ["system:masters", "group1", "system:authenticated"]
    assert spec["extra"] == {"foo": ["bar", "baz"]}
    cmd("delete", "-f", request_file)
    said = cmd.fails("get", "pods", other, "--user=uid-alone")
    assert "without impersonating a user" in said
