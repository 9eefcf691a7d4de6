"""Uploaded pipelines: what is right is kept; what would harm is refused, at little cost."""

import gzip
import io
import json
import stat
import subprocess
import sys
import tarfile
import textwrap
import uuid
import zipfile
from typing import Any

import pytest
import yaml

from wherry.objects import errors
from wherry.pipelines.definitions import archives, uploads

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def spec(pipeline):
    made = pipeline()
    made.step("say", "true")
    made.task("say")
    return made.spec()["pipelineSpec"]


@pytest.fixture
def text(spec):
    return yaml.safe_dump(spec).encode()


def zipped(files, **fields):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for field, value in fields.items():
                setattr(entry, field, value)
            archive.writestr(entry, content)
    return held.getvalue()


def tarred(files, **fields):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for field, value in fields.items():
                setattr(entry, field, value)
            archive.addfile(entry, io.BytesIO(content))
    return held.getvalue()


LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}
HARD = {"type": tarfile.LNKTYPE, "linkname": "../x", "size": 0}
ZIP_LINK = {"external_attr": (stat.S_IFLNK | 0o777) << 16}


@pytest.mark.parametrize("name", ["p.yaml", "p.yml", "P.YAML"])
def test_yaml_is_read(name, text, spec):
    assert uploads.read(name, text).spec == spec


def test_json_is_read(spec):
    assert uploads.read("p.json", json.dumps(spec).encode()).spec == spec


def test_archives_are_read(text, spec):
    other = b"name: a component\n"
    for data in (
        zipped({"pipeline.yaml": text}),
        zipped({"any.yaml": text}),
        zipped({"component.yaml": other, "pipeline.yaml": text, "readme.md": b"#"}),
        tarred({"pipeline.yaml": text}),
        tarred({"./pipeline.yaml": text}),
        tarred({"component.yaml": other, "pipeline.yaml": text}),
        tarred({"folder/any.yaml": text}),
    ):
        assert uploads.read("package", data).spec == spec


def test_a_second_document_is_kept(text, spec):
    platform: dict[str, Any] = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {}}}}}
    found = uploads.read("p.yaml", text + b"---\n" + yaml.safe_dump(platform).encode())
    assert found.platform == platform


BAD = {
    "nothing": ("p.yaml", lambda text: b"", "no pipeline"),
    "no text": ("p.yaml", lambda text: b"\xff\xfe\x00", "UTF-8"),
    "no yaml": ("p.yaml", lambda text: b"a: [", "neither YAML nor JSON"),
    "a list": ("p.yaml", lambda text: b"- 1", "object"),
    "two": ("p.yaml", lambda text: text + b"---\n" + text, "more than one pipeline"),
    "another type": ("p.exe", lambda text: text, "want .yaml"),
    "no name": ("", lambda text: text, "want .yaml"),
    "an archive called yaml": ("p.yaml", lambda text: tarred({"p.yaml": text}), "UTF-8"),
    "a workflow without steps": (
        "p.yaml",
        lambda text: b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n",
        "spec: is wanted",
    ),
    "aliases": (
        "p.yaml",
        lambda text: "\n".join(
            ["a0: &a0 [x, x]"]
            + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
        ).encode(),
        "values",
    ),
    "merges": (
        "p.yaml",
        lambda text: "\n".join(
            ["a0: &a0 {x: 1}"]
            + [f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
        ).encode(),
        "merges",
    ),
    "depth": ("p.yaml", lambda text: b"a: " + b"[" * 100_000, "deeper"),
    "depth of json": ("p.json", lambda text: b'{"a":' * 100_000, "deep|neither"),
    "no zip": ("p.zip", lambda text: b"PK\x03\x04 and so on", "cannot be read"),
    "cut zip": ("p.zip", lambda text: zipped({"p.yaml": text})[:-30], "cannot be read"),
    "text called zip": ("p.zip", lambda text: text, "want .yaml"),
    "a zip in a zip": (
        "p.zip",
        lambda text: zipped({"inner.zip": zipped({"pipeline.yaml": text})}),
        "none",
    ),
    "a zip in a tar": (
        "p.tar.gz",
        lambda text: tarred({"inner.zip": zipped({"pipeline.yaml": text})}),
        "none",
    ),
    "empty zip": ("p.zip", lambda text: zipped({}), "none"),
    "no yaml in zip": ("p.zip", lambda text: zipped({"a.foo": text}), "none"),
    "several": ("p.zip", lambda text: zipped({"a.yaml": text, "b.yaml": text}), "'a.yaml'"),
    "zip out": ("p.zip", lambda text: zipped({"../pipeline.yaml": text}), "leads out"),
    "zip absolute": ("p.zip", lambda text: zipped({"/pipeline.yaml": text}), "leads out"),
    "zip drive": ("p.zip", lambda text: zipped({"C:\\pipeline.yaml": text}), "leads out"),
    "zip link": (
        "p.zip",
        lambda text: zipped({"pipeline.yaml": b"/etc/passwd"}, **ZIP_LINK),
        "is a link",
    ),
    "many in zip": (
        "p.zip",
        lambda text: zipped({f"{n}": b"" for n in range(archives.MOST_FILES + 1)}),
        "more than",
    ),
    "no tar": ("p.tar.gz", lambda text: gzip.compress(b"hello" * 1000), "cannot be read"),
    "cut tar": ("p.tar.gz", lambda text: tarred({"p.yaml": text})[:-40], "cannot be read"),
    "empty tar": ("p.tar.gz", lambda text: tarred({}), "none"),
    "tar out": ("p.tar.gz", lambda text: tarred({"a/../../p.yaml": text}), "leads out"),
    "tar absolute": ("p.tar.gz", lambda text: tarred({"/p.yaml": text}), "leads out"),
    "tar link": ("p.tar.gz", lambda text: tarred({"pipeline.yaml": b""}, **LINK), "is a link"),
    "tar hard link": ("p.tar.gz", lambda text: tarred({"pipeline.yaml": b""}, **HARD), "is a link"),
    "tar device": (
        "p.tar.gz",
        lambda text: tarred({"pipeline.yaml": b""}, type=tarfile.CHRTYPE),
        "none",
    ),
    "many in tar": (
        "p.tar.gz",
        lambda text: tarred({f"{n}": b"" for n in range(archives.MOST_FILES + 1)}),
        "more than",
    ),
}


@pytest.mark.parametrize(("name", "make", "told"), BAD.values(), ids=BAD)
def test_what_is_no_pipeline_is_refused(name, make, told, text):
    with pytest.raises(errors.BadRequestError, match=told):
        uploads.read(name, make(text))


LARGE = {
    "100 MB": ("p.yaml", lambda _: b"a: " + b"x" * (100 << 20)),
    "yaml": ("p.yaml", lambda _: b"a: " + b"x" * archives.MOST_FILE),
    "in a zip": ("p.zip", lambda _: zipped({"p.yaml": b"x" * (archives.MOST_FILE + 1)})),
    "together in a zip": (
        "p.zip",
        lambda _: zipped({f"{n}.yaml": b"x" * archives.MOST_FILE for n in range(5)}),
    ),
    "in a tar": ("p.tar.gz", lambda _: tarred({"p.yaml": b"x" * (archives.MOST_FILE + 1)})),
    "beside it in a tar": (
        "p.tar.gz",
        lambda _: tarred({"rest": b"\0" * archives.MOST_UNPACKED, "p.yaml": b""}),
    ),
}


@pytest.mark.parametrize(("name", "make"), LARGE.values(), ids=LARGE)
def test_what_is_too_large_is_refused(name, make):
    with pytest.raises(errors.RequestEntityTooLargeError, match=r"larger|more than|at most"):
        uploads.read(name, make(b""))


def test_a_pipeline_that_is_wrong_is_refused_with_the_place(spec):
    spec["root"]["dag"]["tasks"]["say"]["retryPolicy"] = {"maxRetryCount": "often"}
    with pytest.raises(errors.BadRequestError, match=r"pipelineSpec\.root\.dag\.tasks\.say"):
        uploads.read("p.json", json.dumps(spec).encode())


BOMBS = """
import gzip, io, resource, sys, tarfile, zipfile
from wherry.objects import errors
from wherry.pipelines.definitions import uploads

def zip_bomb():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("pipeline.yaml", "w", force_zip64=True) as file:
            for _ in range(500):
                file.write(bytes(1 << 20))
    return held.getvalue()

def tar_bomb():
    held = io.BytesIO()
    with gzip.GzipFile(fileobj=held, mode="wb") as packed:
        entry = tarfile.TarInfo("pipeline.yaml")
        entry.size = 500 << 20
        packed.write(entry.tobuf())
        for _ in range(500):
            packed.write(bytes(1 << 20))
    return held.getvalue()

def header_bomb():
    held = io.BytesIO()
    with gzip.GzipFile(fileobj=held, mode="wb") as packed:
        entry = tarfile.TarInfo("long")
        entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 500 << 20
        packed.write(entry.tobuf())
        for _ in range(500):
            packed.write(b"a" * (1 << 20))
    return held.getvalue()

made = [make() for make in (zip_bomb, tar_bomb, header_bomb)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for data in made:
    try:
        uploads.read("bomb", data)
    except errors.ApiError as error:
        assert error.code in (400, 413), error
    else:
        raise SystemExit("it was read")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_bombs_take_little_memory(tmp_path):
    program = tmp_path / "bombs.py"
    program.write_text(textwrap.dedent(BOMBS))
    told = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=120, check=False
    )
    assert told.returncode == 0, told.stderr
    assert int(told.stdout) < 150, "half a gigabyte was unpacked"


def test_an_upload_makes_a_pipeline_with_a_version(api, text, spec):
    name = f"up-{uuid.uuid4().hex[:8]}"
    tags = json.dumps({"team": "red"})
    made = api.upload("/pipelines/upload", "p.yaml", text, name=name, description="Why", tags=tags)
    assert made.status == 200, made
    pipeline_id = made.body["pipeline_id"]
    assert made.body["tags"] == {"team": "red"}
    (found,) = api.get(f"/pipelines/{pipeline_id}/versions")["pipeline_versions"]
    assert (found["name"], found["description"], found["pipeline_spec"]) == (name, "Why", spec)
    again = api.upload("/pipelines/upload", "p.yaml", text, name=name)
    assert again.status == 409
    assert set(again.body) == {"error_message", "error_details"}
    second = api.upload(
        "/pipelines/upload_version",
        "p.tar.gz",
        tarred({"pipeline.yaml": text}),
        name="Second version",
        pipelineid=pipeline_id,
        code_source_url="https://example.com/code",
    )
    assert second.status == 200, second
    assert second.body["code_source_url"] == "https://example.com/code"
    assert api.get(f"/pipelines/{pipeline_id}/versions")["total_size"] == 2
    api.delete(f"/pipelines/{pipeline_id}", cascade="true")


def test_a_pipeline_is_called_as_its_file_where_nothing_else_is_said(api, text):
    filename = f"{uuid.uuid4().hex[:8]} of mine.yaml"
    made = api.upload("/pipelines/upload", filename, text)
    assert made.body["name"] == filename
    api.delete(f"/pipelines/{made.body['pipeline_id']}", cascade="true")


@pytest.mark.parametrize(
    ("query", "filename", "data", "status"),
    [
        ({}, "p.yaml", b"a: [", 400),
        ({}, "p.zip", b"PK\x03\x04", 400),
        ({}, "p.yaml", b"a: " + b"x" * archives.MOST_FILE, 413),
        ({"tags": "[]"}, "p.yaml", None, 400),
        ({"tags": '{"a.b": "c"}'}, "p.yaml", None, 400),
        ({"name": "n" * 129}, "p.yaml", None, 400),
        ({"namespace": "nowhere-at-all"}, "p.yaml", None, 404),
    ],
)
def test_a_bad_upload_leaves_nothing(api, text, query, filename, data, status):
    name = f"bad-{uuid.uuid4().hex[:8]}"
    found = api.upload("/pipelines/upload", filename, data or text, **{"name": name, **query})
    assert found.status == status, found
    assert found.body["error_message"]
    assert api.call("GET", f"/pipelines/names/{name}").status == 404


ALL_BAD = {
    **{name: (file, make, 400) for name, (file, make, _) in BAD.items()},
    **{name: (file, make, 413) for name, (file, make) in LARGE.items()},
}


@pytest.mark.parametrize(("filename", "make", "status"), ALL_BAD.values(), ids=ALL_BAD)
def test_a_bad_file_is_refused_at_every_door_and_leaves_nothing(
    api, runs, text, filename, make, status
):
    data, here = make(text), {"namespace": runs.namespace}
    pipeline = api.post("/pipelines", {"name": "there", **here})
    of = {"pipelineid": pipeline["pipeline_id"]}
    for prefix in ("/apis/v2beta1", "/apis/v1beta1"):
        for path, query in (("upload", here), ("upload_version", of)):
            where = f"{prefix}/pipelines/{path}"
            found = api.upload(where, filename, data, name="bad", **query)
            assert found.status == status, found
            assert found.body["error_message"]
    (left,) = api.get("/pipelines", **here)["pipelines"]
    assert left == pipeline
    assert api.get(f"/pipelines/{pipeline['pipeline_id']}/versions") == {}


def test_a_version_needs_its_pipeline(api, text):
    for query in ({}, {"pipelineid": str(uuid.uuid4())}):
        found = api.upload("/pipelines/upload_version", "p.yaml", text, name="v", **query)
        assert found.status == (404 if query else 400)


def test_the_form_has_to_have_the_file(api):
    found = api.call("POST", "/pipelines/upload", b"a: b", name="x")
    assert found.status == 400
    assert "uploadfile" in found.body["error_message"]
