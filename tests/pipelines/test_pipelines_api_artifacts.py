"""What is in artifacts, by REST: in folders, claims and stores; whole, in part, signed; and nobody else's."""

import base64
import io
import json
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from wherry.metadata.records import Artifact
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.pipelines import kinds
from wherry.pipelines.api import streaming
from wherry.pipelines.contents.signing import Signer

OWN = "/apis/wherry.dev/v1/artifacts"
DATA = "{{$.outputs.artifacts['data'].path}}"
FOLDER = (
    f"mkdir -p {DATA}/sub; echo one > {DATA}/one; echo two > {DATA}/sub/two; "
    f"ln -s one {DATA}/near; ln -s /etc/passwd {DATA}/far"
)


def raw(api, path, *, method="GET", user="", **headers):
    """Return status, headers and bytes of an answer."""
    return api.read(path, method=method, user=user, headers=headers)


def by_nobody(url):
    """Return status and bytes of an answer to who does not say who it is."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture
def made(runs, pipeline, api):
    """Return what runs a script that makes an artifact, and gives the run and the artifact's id."""

    def make(script, *, name="run", says=None, **fields):
        graph = pipeline()
        if says:
            told = json.dumps({"artifacts": {"data": {"artifacts": [says]}}})
            script += f"; echo '{told}' > {{{{$.outputs.output_file}}}}"
        graph.step("make", script, makes=["data"])
        graph.task("make")
        run = runs.run(graph.spec(**fields), name)
        assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
        (artifact,) = runs.rows(run)["root/make"].outputs.artifacts["data"]
        return metadata.uid(run), artifact.id

    return make


def test_a_file_is_read_whole_and_in_part(api, made):
    run, number = made(f"echo said; mkdir -p $(dirname {DATA}); printf 0123456789 > {DATA}")
    path = f"{OWN}/{number}/content"
    status, headers, body = raw(api, path)
    assert (status, body, headers["Content-Length"]) == (200, b"0123456789", "10")
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == 'attachment; filename="data"'
    tag = headers["ETag"]
    for asked, part, told in [
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
    ]:
        status, headers, body = raw(api, path, Range=asked)
        assert (status, body, headers["Content-Range"]) == (206, part, told)
    assert raw(api, path, **{"Range": "bytes=0-1", "If-Range": tag})[0] == 206
    assert raw(api, path, **{"Range": "bytes=0-1", "If-Range": '"other"'})[0] == 200
    assert raw(api, path, Range="bytes=0-1,4-5")[2] == b"0123456789"
    status, headers, body = raw(api, path, Range="bytes=10-")
    assert (status, body, headers["Content-Range"]) == (416, b"", "bytes */10")
    status, headers, body = raw(api, path, method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "10")
    assert raw(api, "/apis/v2beta1/runs", method="HEAD")[0] == 405

    for version in ("v2beta1", "v1beta1"):
        for node in ("make", "root%2Fmake"):
            where = f"/apis/{version}/runs/{run}/nodes/{node}/artifacts"
            assert base64.b64decode(api.get(f"{where}/data:read")["data"]) == b"0123456789"
            for name in ("executor-logs", "main-logs"):
                assert base64.b64decode(api.get(f"{where}/{name}:read")["data"]) == b"said\n"
            missing = api.call("GET", f"{where}/other:read")
            assert missing.status == 404
            assert "has made data" in missing.body["error_message"]
    assert api.call("GET", f"/runs/{run}/nodes/no/artifacts/data:read").status == 404
    assert api.call("GET", "/runs/nobody/nodes/make/artifacts/data:read").status == 404


def test_a_folder_is_an_archive_without_what_is_not_its_own(api, made):
    run, number = made(FOLDER)
    status, headers, body = raw(api, f"{OWN}/{number}/content", Range="bytes=0-1")
    assert (status, headers["Content-Type"]) == (200, "application/gzip")
    assert headers["Content-Disposition"] == 'attachment; filename="data.tar.gz"'
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        found = {each.name: each for each in archive}
        assert sorted(found) == ["near", "one", "sub/two"]
        assert found["near"].linkname == "one"
        two = archive.extractfile("sub/two")
        assert two is not None
        assert two.read() == b"two\n"
    refused = api.call("GET", f"/runs/{run}/nodes/make/artifacts/data:read")
    assert refused.status == 400
    assert f"/artifacts/{number}/content" in refused.body["error_message"]


def test_what_a_step_names_is_not_read_if_it_is_not_its_namespaces(api, made, tmp_path):
    (tmp_path / "secret").write_text("not yours")
    _, number = made(f"mkdir -p $(dirname {DATA}); ln -s {tmp_path}/secret {DATA}")
    status, _, body = raw(api, f"{OWN}/{number}/content")
    assert status == 400
    assert b"behind a link" in body
    _, number = made("true", name="named", says={"uri": f"{tmp_path}/secret"})
    status, _, body = raw(api, f"{OWN}/{number}/content")
    assert status == 400
    assert b"not in the folder of namespace" in body


def test_what_is_too_large_for_a_message_is_read_by_its_id(api, made):
    run, number = made(f"mkdir -p $(dirname {DATA}); head -c 17000000 /dev/zero > {DATA}")
    refused = api.call("GET", f"/runs/{run}/nodes/make/artifacts/data:read")
    assert refused.status == 413
    assert "has 17000000 bytes, more than the 16777216" in refused.body["error_message"]
    body = raw(api, f"{OWN}/{number}/content", Range="bytes=0-16999999")[2]
    assert body == bytes(17000000)


def test_no_more_is_sent_at_once_than_may_be(api, made, monkeypatch):
    _, number = made(f"mkdir -p $(dirname {DATA}); echo x > {DATA}")
    monkeypatch.setattr(streaming, "_MOST_OF_ONE", 0)
    status, _, body = raw(api, f"{OWN}/{number}/content")
    assert (status, b"0 of one user's, are being sent already" in body) == (429, True)


def test_who_may_not_read_is_told_the_same_as_of_nothing(api, made):
    run, number = made(f"mkdir -p $(dirname {DATA}); echo x > {DATA}")
    paths = [f"{OWN}/{{}}", f"{OWN}/{{}}/content", f"{OWN}/{{}}/visualization"]
    for path in paths:
        there = api.call("GET", path.format(number), user="stranger")
        nowhere = api.call("GET", path.format(10**15), user="stranger")
        assert there.status == nowhere.status == 404
        assert there.body["message"] == nowhere.body["message"].replace(str(10**15), str(number))
    assert api.call("POST", f"{OWN}/{number}:sign", {}, user="stranger").status == 404
    assert api.call("GET", f"{OWN}?run_id={run}", user="stranger").status == 403
    read = api.call("GET", f"/runs/{run}/nodes/make/artifacts/data:read", user="stranger")
    assert read.status == 404


def test_a_signed_url_is_all_that_it_takes(api, runs, made):
    _, number = made(f"mkdir -p $(dirname {DATA}); echo signed > {DATA}")
    signed = api.post(f"{OWN}/{number}:sign", {"seconds": 600})
    assert raw(api, signed["url"], user="stranger")[2] == b"signed\n"
    assert raw(api, signed["url"], user="stranger", Range="bytes=0-2")[0] == 206
    path, _, query = signed["url"].partition("?")
    told = dict(urllib.parse.parse_qsl(query))
    assert abs(int(told["expires"]) - time.time() - 600) < 400
    later = {**told, "expires": str(int(told["expires"]) + 1)}
    other = {**told, "signature": told["signature"][:-1] + "é"}
    for wrong in (later, other, {"signature": told["signature"]}):
        assert raw(api, f"{path}?{urllib.parse.urlencode(wrong)}", user="stranger")[0] == 403
    elsewhere = signed["url"].replace(f"/{number}/", f"/{number + 1}/")
    assert raw(api, elsewhere, user="stranger")[0] == 403
    for seconds in (-1, 24 * 3600 + 1):
        assert api.call("POST", f"{OWN}/{number}:sign", {"seconds": seconds}).status == 400
    service = runs.platform.call(runs.client.get(core.SERVICES, "ml-pipeline", "kubeflow"))
    where = f"http://{service['spec']['clusterIP']}:8888"
    assert by_nobody(where + signed["url"]) == (200, b"signed\n")
    assert by_nobody(where + path)[0] == 401
    Path(api.get(f"{OWN}/{number}")["uri"].removeprefix("file://")).unlink()
    assert by_nobody(where + signed["url"])[0] == 404
    # Another process knows the same secret.
    artifact = Artifact(id=number, namespace=runs.namespace, uri=api.get(f"{OWN}/{number}")["uri"])
    again = Signer(runs.client, "kubeflow").sign(artifact, int(told["expires"]))
    assert runs.platform.call(again) == told["signature"]


def test_artifacts_are_listed(api, runs, made):
    run, number = made(f"mkdir -p $(dirname {DATA}); echo x > {DATA}")
    (listed,) = api.get(OWN, run_id=run, namespace=runs.namespace)["artifacts"]
    assert listed == api.get(f"{OWN}/{number}")
    assert (listed["type"], listed["name"]) == ("system.Dataset", "data")
    assert api.get(OWN, namespace=runs.namespace, uri=listed["uri"])["artifacts"] == [listed]
    assert api.get(OWN, namespace=runs.namespace, type="system.Model") == {}
    assert api.get(OWN, namespace=runs.namespace, run_id="nobody") == {}
    assert api.call("GET", f"{OWN}/x").status == 400


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_is_in_a_claim_is_read_where_it_is_a_folder(api, runs, made):
    claim = {
        "metadata": {"name": "shared", "namespace": runs.namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    runs.platform.call(runs.client.create(core.PERSISTENT_VOLUME_CLAIMS, claim))
    script = f"mkdir -p $(dirname {DATA}); echo held > {DATA}"
    _, number = made(script, runtimeConfig={"pipelineRoot": "pvc://shared/root"})
    assert raw(api, f"{OWN}/{number}/content")[2] == b"held\n"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_in_a_store_is_read(api, runs, made, s3):
    runs.keep_in(s3)
    _, number = made(f"mkdir -p $(dirname {DATA}); printf 0123456789 > {DATA}")
    path = f"{OWN}/{number}/content"
    status, headers, body = raw(api, path)
    assert (status, body, headers["Content-Length"]) == (200, b"0123456789", "10")
    status, headers, body = raw(api, path, Range="bytes=3-5")
    assert (status, body, headers["Content-Range"]) == (206, b"345", "bytes 3-5/10")
    signed = api.post(f"{OWN}/{number}:sign", {})
    assert raw(api, signed["url"], user="stranger")[2] == b"0123456789"
    _, number = made("true", name="none", says={"uri": "s3://bucket/root/none"})
    status, _, body = raw(api, f"{OWN}/{number}/content")
    assert (status, b"is gone" in body) == (404, True)
    _, number = made(FOLDER.partition("; ln")[0], name="folder")
    body = raw(api, f"{OWN}/{number}/content")[2]
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert sorted(archive.getnames()) == ["one", "sub/two"]
