"""Kubeconfig files: the ones people have, and the ones written here."""

import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.client import kubeconfig
from wherry.client.connections import ConfigurationError, Connection, in_cluster


def config(name: str = "a", current: str = "a", **user: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {"colors": True},
        "clusters": [{"name": name, "cluster": {"server": f"https://{name}:6443/"}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": current,
    }


def put(path: Path, document: Any) -> Path:
    path.write_text(yaml.safe_dump(document))
    return path


def test_data_and_files(tmp_path: Path) -> None:
    document = config(
        **{"client-key": "key.pem", "client-certificate-data": "Y2VydA==", "token": "t"}
    )
    document["clusters"][0]["cluster"]["certificate-authority"] = "ca.pem"
    document["contexts"][0]["context"]["namespace"] = "team"
    (tmp_path / "key.pem").write_bytes(b"key")
    (tmp_path / "ca.pem").write_bytes(b"ca")
    connection = kubeconfig.load([put(tmp_path / "config", document)])
    assert connection.server == "https://a:6443"
    assert connection.namespace == "team"
    assert connection.certificate_authority == b"ca"
    assert (connection.client_certificate, connection.client_key) == (b"cert", b"key")
    assert connection.token == "t"


def test_several_files_are_merged_first_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = put(tmp_path / "one", config("a", "", token="one"))
    other = config("a", "b", token="two")
    for plural in ("clusters", "users", "contexts"):
        other[plural] += config("b", "b", token="b")[plural]
    two = put(tmp_path / "two", other)
    monkeypatch.setenv("KUBECONFIG", f"{one}:{tmp_path / 'none'}:{two}")
    assert kubeconfig.connection().server == "https://b:6443"
    assert kubeconfig.connection(context="a").token == "one"
    assert kubeconfig.connection(two, "a").token == "two"


def test_the_home_file_then_the_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConfigurationError, match="wherry up"):
        kubeconfig.connection()
    (tmp_path / ".kube").mkdir()
    put(tmp_path / ".kube" / "config", config())
    assert kubeconfig.connection().server == "https://a:6443"


def test_in_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert in_cluster(tmp_path) is None
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("team\n")
    (tmp_path / "ca.crt").write_bytes(b"ca")
    connection = in_cluster(tmp_path)
    assert connection is not None
    assert connection.server == "https://[fd00::1]:6443"
    assert (connection.namespace, connection.certificate_authority) == ("team", b"ca")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"current-context": ""}, "no current-context; choose one of a"),
        ({"current-context": "x"}, "contexts has no 'x'; it has a"),
        ({"clusters": []}, "clusters has no 'a'; it has none"),
        ({"clusters": [{"name": "a", "cluster": {}}]}, "must begin with https"),
        ({"users": [{"name": "a", "user": {"exec": {}}}]}, "exec is not supported"),
        ({"users": [{"name": "a", "user": {"client-key-data": "YQ=="}}]}, "go together"),
        ({"users": [{"name": "a", "user": {"client-key-data": "%"}}]}, "client-key cannot be read"),
        ({"users": [{"name": "a", "user": {"client-key": "none"}}]}, "client-key cannot be read"),
        ({"users": "text"}, "users must be a list"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = put(tmp_path / "config", {**config(), **change})
    with pytest.raises(ConfigurationError, match=message):
        kubeconfig.load([path])


@pytest.mark.parametrize("text", ["[", "- a", "\udcff"])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match=str(path)):
        kubeconfig.load([path])


def local(token: str = "t") -> Connection:
    return Connection(
        server="https://127.0.0.1:6443",
        certificate_authority=b"ca",
        client_certificate=b"c",
        client_key=b"k",
        token=token,
    )


def test_written_files_are_private_and_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    kubeconfig.write(path, kubeconfig.entry("wherry", local()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = kubeconfig.load([path])
    assert (read.certificate_authority, read.client_key, read.token) == (b"ca", b"k", "t")
    kubeconfig.write(path, kubeconfig.entry("wherry", local("other")))
    assert kubeconfig.load([path]).token == "other"
    assert [*path.parent.iterdir()] == [path]


def test_others_contexts_are_kept_only_when_merging(tmp_path: Path) -> None:
    real = put(tmp_path / "real", config(token="mine"))
    path = tmp_path / "config"
    path.symlink_to(real)
    entry = kubeconfig.entry("wherry", local(), authority_file=tmp_path / "ca.pem")
    before = path.read_text()
    with pytest.raises(ConfigurationError, match=r"other contexts \(a\)"):
        kubeconfig.write(path, entry)
    assert path.read_text() == before
    (tmp_path / "ca.pem").write_bytes(b"ca")
    kubeconfig.write(path, entry, merge=True)
    assert path.is_symlink()
    assert kubeconfig.load([path], "a").token == "mine"
    assert kubeconfig.load([path]).server == "https://127.0.0.1:6443"
    assert yaml.safe_load(path.read_text())["preferences"] == {"colors": True}


def test_kubectl_reads_what_is_written(tmp_path: Path) -> None:
    kubectl = Path(sys.executable).parent / "kubectl"
    path = tmp_path / "config"
    kubeconfig.write(path, kubeconfig.entry("wherry", local()))
    view = ["config", "view", "--kubeconfig", str(path), "-o", "jsonpath={.contexts[0].name}"]
    done = subprocess.run(
        [str(kubectl), *view], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "wherry"
