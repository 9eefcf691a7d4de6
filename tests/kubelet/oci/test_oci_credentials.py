import base64
import json
from pathlib import Path
from typing import Any

import pytest

from wherry.kubelet.oci import credentials, references


def secret(auths: Any, kind: str = "kubernetes.io/dockerconfigjson") -> dict[str, Any]:
    nested = kind.endswith("json")
    text = json.dumps({"auths": auths} if nested else auths)
    key = ".dockerconfigjson" if nested else ".dockercfg"
    return {"type": kind, "data": {key: base64.b64encode(text.encode()).decode()}}


def auth(name: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:pw:{name}".encode()).decode()}


def names(auths: Any, image: str) -> list[str]:
    ring = credentials.Keyring(credentials.of_secret(secret(auths)))
    return [found.username for found in ring.lookup(references.parse(image))]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("reg.io/other/x", ["host"]),
        ("reg.io/team/x", ["team", "host"]),
        ("reg.io/team/deep/x", ["deep", "team", "host"]),
        ("reg.io/teams/x", ["host"]),
        ("reg.io:5000/team/x", ["port"]),
        ("a.glob.io/x", ["glob"]),
        ("a.b.glob.io/x", []),
        ("python", ["hub"]),
        ("elsewhere.io/x", []),
    ],
)
def test_the_narrowest_goes_first(image: str, expected: list[str]) -> None:
    auths = {
        "reg.io": auth("host"),
        "https://reg.io/team": auth("team"),
        "reg.io/team/deep": auth("deep"),
        "reg.io:5000": auth("port"),
        "*.glob.io": auth("glob"),
        "https://index.docker.io/v1/": auth("hub"),
    }
    assert names(auths, image) == expected


def test_passwords_may_have_colons_and_are_not_shown() -> None:
    (entry,) = credentials.of_secret(secret({"reg.io": auth("me")}))
    assert entry.credentials == credentials.Credentials("me", "pw:me")
    assert "pw" not in repr(entry)


def test_the_old_form_and_plain_fields() -> None:
    (entry,) = credentials.of_secret(
        secret({"reg.io": {"username": "a", "password": "b"}}, "kubernetes.io/dockercfg")
    )
    assert entry.credentials == credentials.Credentials("a", "b")


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "Opaque", "data": {".dockerconfigjson": "e30="}},
        {"type": "kubernetes.io/dockerconfigjson"},
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "!!"}},
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "W10="}},
        secret({"reg.io": {"auth": "\xff"}}),
        secret({"reg.io": {}}),
        secret({"reg.io": "text"}),
    ],
)
def test_what_is_malformed_holds_nothing(broken: dict[str, Any]) -> None:
    assert credentials.of_secret(broken) == []


def test_what_docker_login_stored(tmp_path: Path) -> None:
    assert credentials.of_user(tmp_path) == []
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {"r.io": auth("x")}}))
    assert [entry.host for entry in credentials.of_user(tmp_path)] == ["r.io"]
