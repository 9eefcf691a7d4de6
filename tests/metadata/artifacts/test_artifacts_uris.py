"""URIs of artifacts and the paths of steps."""

import pytest

from wherry.metadata.artifacts import uris
from wherry.metadata.artifacts.uris import Uri, UriError


@pytest.mark.parametrize(
    ("text", "parsed", "path"),
    [
        ("/a/b", Uri("file", "", "/a/b"), "/a/b"),
        ("file:///a/b", Uri("file", "", "/a/b"), "/a/b"),
        ("file:///a/b/", Uri("file", "", "/a/b"), "/a/b"),
        ("s3://b/k/x?region=1", Uri("s3", "b", "k/x", "region=1"), "/s3/b/k/x"),
        ("gs://b/k", Uri("gs", "b", "k"), "/gcs/b/k"),
        ("minio://b/k", Uri("minio", "b", "k"), "/minio/b/k"),
        ("pvc://claim/k/l", Uri("pvc", "claim", "k/l"), "/pvc/claim/k/l"),
        ("s3://b//etc/x", Uri("s3", "b", "/etc/x"), "/s3/b//etc/x"),
        ("pvc://claim//etc/x", Uri("pvc", "claim", "etc/x"), "/pvc/claim/etc/x"),
        ("oci://registry/x/y:1", Uri("oci", "registry", "x/y:1"), "/oci/registry_x_y:1"),
    ],
)
def test_paths(text, parsed, path):
    assert uris.parse(text) == parsed
    assert uris.path(text) == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://x/y", "want an absolute path or one of file://, pvc://, s3://"),
        ("a/b", "is no URI"),
        ("s3:///x", "names no bucket"),
        ("pvc:///x", "names no claim"),
        ("s3://b/../x", "goes up"),
        ("pvc://../etc/x", "goes up"),
        ("s3://../etc/x", "goes up"),
        ("pvc://./x", "goes up"),
        ("/a/../b", "goes up"),
        ("file://a/b", "is no absolute path"),
        ("/a\0b", "goes up"),
    ],
)
def test_what_is_no_uri_is_told(text, message):
    with pytest.raises(UriError, match=message):
        uris.parse(text)


def test_special_places():
    in_workspace = {"_kfp_workspace": True}
    assert uris.path("s3://b/x", metadata=in_workspace) == "/kfp-workspace/.artifacts/s3/b/x"
    assert uris.path("s3://b/x", custom_path="/mine") == "/mine"
    assert uris.path("oci://r/m", type="system.Model") == "/oci/r_m/models"
    with pytest.raises(UriError, match="has no path in a step"):
        uris.path("https://example.org/x")


@pytest.mark.parametrize("kept", ["file:///a/b", "pvc://c/p", "s3://b/x", "gs://b"])
def test_what_a_step_is_told_is_kept_as_it_was(kept):
    assert uris.normal(uris.seen(kept)) == kept
    assert uris.is_direct(kept) == uris.seen(kept).startswith("/")


def test_below():
    assert uris.below("s3://b/root/?region=x", "run", "/task/") == "s3://b/root/run/task"
    assert uris.below("/a", "b") == "/a/b"


@pytest.mark.parametrize(
    ("text", "of_node"),
    [
        ("/data/x", True),
        ("file:///data/x", True),
        ("/pvc/claim/x", False),
        ("pvc://claim/x", False),
        ("s3://bucket/x", False),
        ("what a step has named", False),
    ],
)
def test_what_the_node_itself_has_is_known(text: str, *, of_node: bool) -> None:
    assert uris.is_of_node(text) is of_node
