import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.kubelet.oci import references

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.12", "docker.io/library/python:3.12"),
        ("index.docker.io/python", "docker.io/library/python:latest"),
        ("team/tool", "docker.io/team/tool:latest"),
        ("localhost/tool", "localhost/tool:latest"),
        ("localhost:5000/team/tool:v1", "localhost:5000/team/tool:v1"),
        ("ghcr.io/a/b/c_d--e.f", "ghcr.io/a/b/c_d--e.f:latest"),
        (f"python@{DIGEST}", f"docker.io/library/python@{DIGEST}"),
        (f"host:1/a:v1@{DIGEST}", f"host:1/a:v1@{DIGEST}"),
        ("[::1]:5000/tool", "[::1]:5000/tool:latest"),
    ],
)
def test_long_forms(text: str, expected: str) -> None:
    found = references.parse(text)
    assert found.text == expected
    assert references.parse(found.text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":tag",
        "team/UPPER",
        "a//b",
        "a/",
        "/a",
        "a/../b",
        "..",
        "host.io/../../etc/passwd",
        "a b",
        "a:",
        "a:tag:tag",
        "a@sha256:abc",
        f"a@md5:{'a' * 32}",
        "a:-tag",
        "a/.hidden",
        "evil.io:80@host/x",
        "host.io?x=/a",
        "x" * 256,
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid reference format"):
        references.parse(text)


def test_the_digest_goes_before_the_tag() -> None:
    assert references.parse(f"a:v1@{DIGEST}").wanted == DIGEST
    assert references.parse("a").host == "registry-1.docker.io"


@given(st.text(string.printable, max_size=80))
def test_what_is_accepted_is_safe_in_a_url(text: str) -> None:
    try:
        found = references.parse(text)
    except ValueError:
        return
    assert references.parse(found.text) == found
    assert not set(found.repository) - set(string.ascii_lowercase + string.digits + "._-/")
    assert ".." not in found.repository.split("/")
    assert not set(found.host) & set("/?#@ %\\")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:5000", True),
        ("127.3.2.1:80", True),
        ("[::1]:5000", True),
        ("localhost", True),
        ("localhost.example.com", False),
        ("127.example.com", False),
        ("10.0.0.1:5000", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert references.is_loopback(host) is expected
