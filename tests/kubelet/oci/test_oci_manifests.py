import json
from typing import Any

import pytest

from wherry.kubelet.oci import image_config, manifests

DIGEST = "sha256:" + "0" * 64
BLOB = {"mediaType": "x", "digest": DIGEST, "size": 3}
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def entry(architecture: str, variant: str = "", system: str = "linux") -> dict[str, Any]:
    digest = "sha256:" + (architecture + variant).encode().hex().rjust(64, "0")
    where = {"os": system, "architecture": architecture, "variant": variant}
    return {"digest": digest, "size": 1, "platform": where}


@pytest.mark.parametrize("kind", sorted(manifests.MANIFEST_TYPES))
def test_both_kinds_of_manifests(kind: str) -> None:
    content = json.dumps({"config": BLOB, "layers": [BLOB, BLOB]}).encode()
    found = manifests.read(content, kind + "; charset=utf-8")
    assert isinstance(found, manifests.Manifest)
    assert (len(found.layers), found.size) == (2, 9)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"mediaType": "application/vnd.docker.distribution.manifest.v1+json"},
        {"config": BLOB, "layers": []},
        {"config": BLOB, "layers": [BLOB] * 128},
        {"config": BLOB, "layers": [{**BLOB, "digest": "sha256:../../etc"}]},
        {"config": BLOB, "layers": [{**BLOB, "size": -1}]},
        {"config": None, "layers": [BLOB]},
    ],
)
def test_what_is_no_manifest(document: Any) -> None:
    with pytest.raises(manifests.ManifestError):
        manifests.read(json.dumps(document).encode(), "")


@pytest.mark.parametrize(
    ("machine", "index"), [("x86_64", 1), ("aarch64", 3), ("armv7l", 4), ("s390x", None)]
)
def test_the_machines_own_is_selected(machine: str, index: int | None) -> None:
    entries = (
        entry("amd64", system="windows"),
        entry("amd64"),
        entry("arm64"),
        entry("arm64", "v8"),
        entry("arm", "v7"),
        entry("arm", "v6"),
    )
    if index is None:
        with pytest.raises(manifests.ManifestError, match=r"no matching manifest for linux/s390x"):
            manifests.select(entries, machine)
    else:
        assert manifests.select(entries, machine).digest == entries[index]["digest"]


def test_configurations() -> None:
    document = {
        "config": {"Env": ["A=1"], "Cmd": ["x"], "User": "a:b", "StopSignal": "SIGINT"},
        "rootfs": {"diff_ids": [DIGEST]},
    }
    found = image_config.read(json.dumps(document).encode())
    assert (found.env, found.cmd, found.user, found.entrypoint) == (("A=1",), ("x",), "a:b", ())
    assert image_config.from_values(json.loads(json.dumps(found.values()))) == found


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"config": ["x"]},
        {"config": {"Env": "A=1"}},
        {"config": {"User": "a b"}},
        {"rootfs": {"diff_ids": ["../.."]}},
    ],
)
def test_malformed_configurations(document: Any) -> None:
    with pytest.raises(manifests.ManifestError):
        image_config.read(json.dumps(document).encode())
