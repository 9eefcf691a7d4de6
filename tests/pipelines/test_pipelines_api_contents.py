"""Parts of bytes, and folders into which others write."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.controller.surroundings import Surroundings
from wherry.metadata.records import Artifact
from wherry.objects import errors
from wherry.objects import kinds as core
from wherry.pipelines.contents import folders, opening, ranges
from wherry.pipelines.contents.opening import Contents
from wherry.pipelines.contents.processes import Readers
from wherry.pipelines.contents.ranges import Span


@given(size=st.integers(0, 20), first=st.integers(0, 25), last=st.none() | st.integers(0, 25))
def test_a_range_is_a_slice(size, first, last):
    content = bytes(range(size))
    said = f"bytes={first}-{'' if last is None else last}"
    expected = content[first : None if last is None else last + 1]
    try:
        found = ranges.wanted(said, "", size=size, tag="")
    except ranges.UnsatisfiableError:
        assert first >= size
        return
    if found is None:
        assert last is not None
        assert last < first
        return
    assert content[found.start :][: found.length] == expected
    assert found.length == len(expected) > 0


@pytest.mark.parametrize(
    "said", ["", "bytes", "bytes=", "bytes=-", "lines=1-2", "bytes=1-2,4-5", "bytes=a-b"]
)
def test_what_is_not_understood_means_all(said):
    assert ranges.wanted(said, "", size=10, tag="") is None


def test_the_end_and_the_condition():
    assert ranges.wanted("bytes=-4", "", size=10, tag="") == Span(6, 4)
    assert ranges.wanted("bytes=-40", "", size=10, tag="") == Span(0, 10)
    for said in ("bytes=-0", "bytes=10-"):
        with pytest.raises(ranges.UnsatisfiableError):
            ranges.wanted(said, "", size=10, tag="")
    assert ranges.wanted("bytes=0-1", '"a"', size=10, tag='"a"') == Span(0, 2)
    for tag in ('"b"', ""):
        assert ranges.wanted("bytes=0-1", '"a"', size=10, tag=tag) is None


def test_no_link_is_followed_on_the_way_to_a_file(tmp_path):
    (tmp_path / "own" / "sub").mkdir(parents=True)
    (tmp_path / "own" / "sub" / "file").write_text("x")
    (tmp_path / "own" / "link").symlink_to("sub")
    (tmp_path / "own" / "pipe").touch()
    os.mkfifo(tmp_path / "own" / "queue")
    within = tmp_path / "own"
    at = folders.opened(within / "sub" / "file", within)
    assert folders.is_file(at)
    assert not folders.is_folder(at)
    assert os.read(at, 9) == b"x"
    os.close(at)
    for path in (within / "link", within / "link" / "file"):
        with pytest.raises(OSError, match=r"link|directory"):
            folders.opened(path, within)
    for path in (tmp_path / "other", within / ".." / "own" / "sub"):
        with pytest.raises(ValueError, match=r"subpath|goes up"):
            folders.opened(path, within)
    # A pipe without a writer does not hold up who looks at it.
    at = folders.opened(within / "queue", within)
    assert not folders.is_file(at)
    os.close(at)
    folder = folders.opened(within, within)
    found = {name: isinstance(each, str) for name, each in folders.walk(folder, most=9)}
    os.close(folder)
    assert found == {"link": True, "pipe": False, "sub/file": False}


def test_very_deep_folders_end(tmp_path):
    deep = tmp_path
    for _ in range(100):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    (tmp_path / "near").touch()
    folder = folders.opened(tmp_path, tmp_path)
    assert [name for name, _ in folders.walk(folder, most=99)] == ["near"]
    os.close(folder)


def test_many_names_end(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    folder = folders.opened(tmp_path, tmp_path)
    assert list(folders.walk(folder, most=3)) == []
    (tmp_path / "c" / "file").touch()
    with pytest.raises(folders.TooManyError, match="more than 3 files, links and folders"):
        list(folders.walk(folder, most=3))
    os.close(folder)


async def packed(path):
    """Return the archive of a folder, in pieces."""
    reader = await Readers(None).open({"path": str(path), "within": str(path)}, ())
    try:
        assert reader.is_folder
        return [piece async for piece in reader.read(0, None)]
    finally:
        await reader.close()


async def test_a_folder_is_packed_up_to_so_many_bytes(tmp_path):
    (tmp_path / "file").touch()
    assert await packed(tmp_path)
    # Nothing of it is on the disk.
    os.truncate(tmp_path / "file", 65 * 1024**3)
    with pytest.raises(errors.BadRequestError, match="more than 68719476736 bytes"):
        await packed(tmp_path)


@pytest.mark.slow
async def test_a_folder_is_packed_up_to_so_many_files(tmp_path):
    for number in range(100_001):
        (tmp_path / str(number)).touch()
    with pytest.raises(errors.BadRequestError, match="more than 100000 files"):
        await packed(tmp_path)


NEIGHBOUR = """
s3:
  default: {endpoint: "169.254.169.254:80", disableSSL: true, credentials: {fromEnv: true}}
  overrides:
  - {bucketName: mine, endpoint: "store.example:9000", credentials: {secretRef: {secretName: none,
     accessKeyKey: a, secretKeyKey: b}}}
"""


def refusal(runs, uri, **around):
    """Return why an artifact is not read."""
    contents = Contents(runs.client, Surroundings(**around), around.get("home"))
    artifact = Artifact(id=7, namespace=runs.namespace, uri=uri)
    with pytest.raises(errors.BadRequestError) as caught:
        runs.platform.call(contents.open(artifact))
    return caught.value.message


def test_what_is_not_read_here_is_told(runs, tmp_path):
    assert "only pods can read" in refusal(runs, "pvc://claim/x")
    assert "only pods can read" in refusal(runs, "file:///x")
    assert "read it at https://example.org/x" in refusal(runs, "https://example.org/x")
    assert "read it at oci://image" in refusal(runs, "oci://image/x")
    assert "has no file" in refusal(runs, "nowhere")
    here = {"home": tmp_path, "local": True}
    assert "not in the folder of namespace" in refusal(runs, f"file://{tmp_path}", **here)
    other = tmp_path / "other" / "x"
    assert "not in the folder of namespace" in refusal(runs, f"file://{other}", **here)
    assert "is no name of a claim" in refusal(runs, "pvc://A_B/x", **here)


def test_a_namespace_cannot_have_the_neighbours_of_the_service_asked(runs):
    body = {
        "metadata": {"name": "kfp-launcher", "namespace": runs.namespace},
        "data": {"providers": NEIGHBOUR},
    }
    runs.platform.call(runs.client.create(core.CONFIG_MAPS, body))
    told = refusal(runs, "s3://bucket/latest/meta-data")
    assert "not read here from 169.254.169.254" in told
    assert opening.OPTION in told
    assert "not read here from store.example" in refusal(runs, "s3://mine/x")
    for named in ("store.example", "*.example:9000"):
        options = {opening.OPTION: f"a, {named}"}
        assert "there is no Secret none" in refusal(runs, "s3://mine/x", options=options)


GOOGLE = """
gs: {default: {credentials: {fromEnv: false, secretRef: {secretName: google, tokenKey: t}}}}
s3: {default: {endpoint: "internal-a-1.eu-west-1.elb.amazonaws.com", credentials: {fromEnv: true}}}
"""


def test_an_endpoint_that_cannot_be_read_is_told(runs):
    providers = 's3: {default: {endpoint: "store:port", credentials: {fromEnv: true}}}'
    head = {"name": "kfp-launcher", "namespace": runs.namespace}
    body = {"metadata": head, "data": {"providers": providers}}
    runs.platform.call(runs.client.create(core.CONFIG_MAPS, body))
    assert "want host or host:port" in refusal(runs, "s3://bucket/x")


def test_an_account_cannot_have_the_neighbours_of_the_service_asked(runs):
    head = {"namespace": runs.namespace}
    body = {"metadata": {**head, "name": "kfp-launcher"}, "data": {"providers": GOOGLE}}
    runs.platform.call(runs.client.create(core.CONFIG_MAPS, body))
    account = json.dumps({"type": "service_account", "token_uri": "http://10.0.0.1/token"})
    secret = {"metadata": {**head, "name": "google"}, "stringData": {"t": account}}
    runs.platform.call(runs.client.create(core.SECRETS, secret))
    assert "not read here from 10.0.0.1" in refusal(runs, "gs://bucket/x")
    assert "not read here from internal-a-1" in refusal(runs, "s3://bucket/x")


def test_a_claim_that_only_names_a_volume_is_not_its_owner(runs, tmp_path):
    """A volume says itself whose it is; a claim may name any."""
    head = {"name": f"held-{runs.namespace}"}
    spec = {
        "capacity": {"storage": "1Mi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": str(tmp_path)},
        "claimRef": {"namespace": "elsewhere", "name": "theirs"},
    }
    call, client = runs.platform.call, runs.client
    call(client.create(core.PERSISTENT_VOLUMES, {"metadata": head, "spec": spec}))
    claim = {
        "metadata": {"name": "greedy", "namespace": runs.namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Mi"}},
            "volumeName": head["name"],
        },
    }
    call(client.create(core.PERSISTENT_VOLUME_CLAIMS, claim))
    told = refusal(runs, "pvc://greedy/x", home=tmp_path, local=True)
    assert "only pods can read it" in told
