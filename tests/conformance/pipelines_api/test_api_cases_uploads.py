"""Upstream's cases of uploads: files that are pipelines, files that are none, tags, versions."""

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
CHECKOUT = os.environ.get("WHERRY_PIPELINES", "")
FILES = Path(CHECKOUT, "test_data", "sdk_compiled_pipelines")
FILE = "pipeline_upload_api_test.go: "
UPLOAD = "Verify Pipeline Upload >"
VALID = "Upload a valid pipeline and verify pipeline metadata after upload >"
TAGS = "Verify Pipeline Upload with Tags >"
TAGS_STORED = "Upload a valid pipeline with tags and verify tags are stored >"
VERSION = "Verify Pipeline Upload Version >"
CHANGED = "Upload a pipeline and upload the same pipeline to change version >"
VERSION_TAGS = "Verify Pipeline Upload Version with Tags >"
VERSION_TAGS_STORED = "Upload a pipeline version with tags and verify tags are stored >"
NO_VERSION_TAGS = "Verify Pipeline Upload Version with Tags Failure >"
INVALID_TAGS = "Upload a pipeline version with invalid tags >"
NO_UPLOAD = "Verify Pipeline Upload Failure >"
INVALID = "Upload an invalid pipeline spec and verify the error in the response >"
NO_VERSION = "Verify Pipeline Upload Version Failure >"
METRIC = "Upload a pipeline and try changing the version with a different metric >"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
needs_checkout = pytest.mark.skipif(not CHECKOUT, reason="WHERRY_PIPELINES names no checkout")


def case(*texts):
    name = FILE + " > ".join(text.rstrip(" >") for text in texts)
    return pytest.mark.conformance("pipelines-api", group="api-cases", name=name)


def files(above, context, before, after):
    """Yield the files for which there is a case: its name is of the texts before and after it."""
    rows = json.loads((HERE / "names" / "api-cases.json").read_text(encoding="utf-8"))
    head = f"{FILE}{above} {context} {before}"
    for row in rows:
        name = row["name"]
        if name.startswith(head) and name.endswith(after) and "notApplicable" not in row:
            file = name.removeprefix(head).removesuffix(after)
            if " " not in file:
                mark = pytest.mark.conformance("pipelines-api", group="api-cases", name=name)
                yield pytest.param(file, marks=mark, id=file)


def documents(path):
    """Return what a file's pipeline is told to be: in an envelope where there are two documents."""
    data = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read(archive.namelist()[0])
    spec, *platform = yaml.safe_load_all(data)
    return {"pipeline_spec": spec, "platform_spec": platform[0]} if platform else spec


@needs_checkout
@pytest.mark.parametrize("file", [*files(UPLOAD, VALID, "Upload ", " pipeline")])
def test_a_valid_file(kept, file):
    path = FILES / "valid" / file
    answer = kept.try_upload("", path.read_bytes(), path.name)
    assert answer.status == 200, answer
    made = answer.body
    assert kept.get(made) == made
    assert (made["display_name"], made["namespace"]) == (kept.name, kept.namespace)
    (version,) = kept.versions(made)
    assert version["pipeline_spec"] == documents(path)


@needs_checkout
@pytest.mark.parametrize(
    "file", [*files(NO_UPLOAD, INVALID, "Upload a ", " pipeline and verify the failure")]
)
def test_an_invalid_file(kept, file):
    path = FILES / "invalid" / file
    answer = kept.try_upload("", path.read_bytes(), path.name)
    assert answer.status == 400, answer
    assert answer.body["error_message"]
    assert kept.list().body.get("total_size", 0) == 0


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(
            {"description": "Some pipeline description"},
            marks=case(
                UPLOAD,
                VALID,
                "Upload hello_world.yaml pipeline file with custom name and description",
            ),
        ),
        pytest.param(
            {"description": "Some pipeline description", "display_name": "Pipeline Display Name"},
            marks=case(
                UPLOAD,
                VALID,
                "Upload hello_world.yaml pipeline file with custom name, display name and description",
            ),
        ),
    ],
)
def test_what_is_said_beside_the_file(kept, query):
    made = kept.upload(**query)
    assert made == {**made, "name": kept.name, "display_name": kept.name, **query}
    assert kept.get(made) == made


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        pytest.param(
            {"team": "ml-ops", "env": "prod"},
            {"team": "ml-ops", "env": "prod"},
            marks=[
                case(
                    TAGS,
                    TAGS_STORED,
                    f"Upload hello_world.yaml pipeline with tags and verify tags {how}",
                )
                for how in ("are returned", "via GetPipeline")
            ],
        ),
        pytest.param(
            {},
            None,
            marks=case(TAGS, TAGS_STORED, "Upload hello_world.yaml pipeline with empty tags map"),
        ),
        pytest.param(
            None,
            None,
            marks=case(
                TAGS,
                TAGS_STORED,
                "Upload hello_world.yaml pipeline without tags and verify no tags are returned",
            ),
        ),
    ],
)
def test_tags_beside_the_file(kept, tags, wanted):
    made = kept.upload(tags=tags)
    assert made.get("tags") == wanted
    assert kept.get(made).get("tags") == wanted


@case(
    VERSION,
    CHANGED,
    "Upload hello_world.yaml pipeline file and upload a new version with the same file",
)
def test_the_same_file_once_more(kept):
    made = kept.upload()
    version = kept.upload_version(made, f"{kept.name}-1", description="Changed")
    assert (version["display_name"], version["description"]) == (f"{kept.name}-1", "Changed")
    assert version["pipeline_spec"] == kept.hello
    assert version in kept.versions(made)


@case(
    VERSION,
    CHANGED,
    "Upload hello_world.yaml pipeline file and upload a new version with the different file "
    "arguments_parameters.yaml",
)
def test_another_file(kept):
    made = kept.upload()
    other = {**kept.hello, "pipelineInfo": {"name": "other"}}
    answer = kept.try_upload_version(
        made["pipeline_id"], "v2", json.dumps(other).encode(), "o.json"
    )
    assert answer.status == 200, answer
    assert answer.body["pipeline_spec"] == other


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        pytest.param(
            {"team": "ml-ops", "env": "prod"},
            {"team": "ml-ops", "env": "prod"},
            marks=[
                case(
                    VERSION_TAGS,
                    VERSION_TAGS_STORED,
                    f"Upload a pipeline version with tags and verify tags {how}",
                )
                for how in (
                    "are returned in the response",
                    "via GetPipelineVersion endpoint",
                    "via ListPipelineVersions",
                )
            ],
        ),
        pytest.param(
            {},
            None,
            marks=case(
                VERSION_TAGS, VERSION_TAGS_STORED, "Upload a pipeline version with empty tags map"
            ),
        ),
        pytest.param(
            None,
            None,
            marks=case(
                VERSION_TAGS,
                VERSION_TAGS_STORED,
                "Upload a pipeline version without tags and verify no tags are returned",
            ),
        ),
    ],
)
def test_tags_of_a_version(kept, api, tags, wanted):
    pipeline = kept.upload()
    made = kept.upload_version(pipeline, "v2", tags=tags)
    path = f"/pipelines/{pipeline['pipeline_id']}/versions/{made['pipeline_version_id']}"
    assert made.get("tags") == wanted
    assert api.get(path) == made
    assert made in kept.versions(pipeline)


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param(
            {"k" * 64: "value"},
            marks=case(
                NO_VERSION_TAGS,
                INVALID_TAGS,
                "Upload a pipeline version with tag key exceeding 63 characters",
            ),
        ),
        pytest.param(
            {"key": "v" * 64},
            marks=case(
                NO_VERSION_TAGS,
                INVALID_TAGS,
                "Upload a pipeline version with tag value exceeding 63 characters",
            ),
        ),
        pytest.param(
            "not-valid-json",
            marks=case(
                NO_VERSION_TAGS,
                INVALID_TAGS,
                "Upload a pipeline version with invalid tags JSON format",
            ),
        ),
    ],
)
def test_tags_that_cannot_be(kept, tags):
    pipeline = kept.upload()
    refused(kept.try_upload_version(pipeline["pipeline_id"], "v2", tags=tags), 400)
    assert len(kept.versions(pipeline)) == 1


@case(NO_UPLOAD, INVALID, "Upload a pipeline twice and verify that it should fail the second time")
def test_a_pipeline_that_is_there(kept):
    made = kept.upload()
    answer = kept.try_upload()
    assert answer.status == 409, answer
    assert answer.body["error_message"]
    assert kept.list().body["pipelines"] == [made]


@case(NO_VERSION, METRIC, "Change hello_world.yaml pipeline's name to be same as original version")
@case(NO_VERSION, METRIC, "Change hello_world.yaml pipeline's id with fake pipeline id")
def test_a_version_that_cannot_be(kept):
    pipeline = kept.upload()
    refused(kept.try_upload_version(pipeline["pipeline_id"], kept.name), 409)
    refused(kept.try_upload_version("12345", None), 404)
    assert len(kept.versions(pipeline)) == 1


def refused(answer, status):
    assert answer.status == status, answer
    assert answer.body["error_message"]
