"""Upstream's longer cases of pipelines and versions: uploaded, fetched from elsewhere, listed page by page.

Where upstream's cases of the first version upload workflows of Argo, these upload what KFP compiles, but for
the one that is of such workflows alone.
"""

import io
import json
import time
import zipfile

import pytest
import yaml

from wherry.embedded.settings import Settings
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.pipelines_api import PipelinesApi
from wherry.testing.waiting import eventually

SECONDS = 120
UNKNOWN = "unknownfield"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def case(name):
    return pytest.mark.conformance("pipelines-api", group="api-cases", name=name)


@pytest.fixture(scope="module")
def fetching(elsewhere, tmp_path_factory):
    """The service of a platform that may ask there."""
    options = {"pipelines-url-allowed": f"{elsewhere[1]}/"}
    directory = tmp_path_factory.mktemp("fetching") / "platform"
    made = InProcessPlatform(Settings(directory=directory, port=0, options=options))
    made.start()
    api = PipelinesApi(made.connection)
    eventually(lambda: api.call("GET", "/healthz").status == 200, SECONDS)
    yield api
    api.close()
    made.stop()


@pytest.fixture
def files(elsewhere, hello, taking):
    """Files as upstream's cases have them: their names, and what is in them."""
    texts = {"hello-world.json": hello, "arguments.json": taking, "sequential.json": hello}
    made = {name: json.dumps(spec).encode() for name, spec in texts.items()}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("arguments.yaml", made["arguments.json"])
    made["arguments.zip"] = held.getvalue()
    for name, data in made.items():
        (elsewhere[0] / name).write_bytes(data)
    return made


def pages(api, path, field, sizes, **query):
    """Return the display names of a list's pages, of which there are as many as sizes."""
    found, token = [], None
    for size in sizes:
        page = api.get(path, page_size=size, page_token=token, **query)
        assert page["total_size"] == 5
        found.append([each.get("display_name") or each["name"] for each in page[field]])
        token = page.get("next_page_token")
    assert not token
    return found


@case("v2/integration/pipeline_api_test.go: PipelineApiTest.TestPipelineAPI")
def test_pipelines(fetching, elsewhere, files):
    api, (_, url) = fetching, elsewhere
    for page in api.get("/pipelines", page_size=200).get("pipelines", []):
        api.delete(f"/pipelines/{page['pipeline_id']}", cascade="true")

    def upload(file, name, **query):
        return api.upload("/pipelines/upload", file, files[file], name=name, **query)

    made = upload("hello-world.json", "hello-world", display_name="hello-world.yaml").body
    assert (made["display_name"], made["name"]) == ("hello-world.yaml", "hello-world")
    arguments = {"name": "arguments-parameters", "display_name": "arguments-parameters.yaml"}
    kept = upload("arguments.json", **arguments).body
    assert kept["display_name"] == "arguments-parameters.yaml"
    assert upload("arguments.json", **arguments).status == 409
    body = {
        "pipeline": {"name": "sequential-v2", "display_name": "sequential", "description": "Why"},
        "pipeline_version": {"package_url": {"pipeline_url": f"{url}/sequential.json"}},
    }
    sequential = api.post("/pipelines/create", body)
    told = {"name": "sequential-v2", "display_name": "sequential", "description": "Why"}
    assert {key: sequential[key] for key in told} == told
    (version,) = api.get(f"/pipelines/{sequential['pipeline_id']}/versions")["pipeline_versions"]
    assert {key: version[key] for key in told} == told
    assert version["pipeline_id"] == sequential["pipeline_id"]
    assert version["package_url"]["pipeline_url"] == f"{url}/sequential.json"
    zipped = upload("arguments.zip", "zip-arguments-parameters").body
    assert zipped["display_name"] == "zip-arguments-parameters"
    empty = {"name": "arguments-pipeline-zip", "display_name": "arguments_parameters.zip"}
    last = api.post("/pipelines", empty)
    body = {
        "display_name": "argumenturl-v1",
        "description": "The first",
        # As upstream's case has it, of another pipeline: what counts is the path.
        "pipeline_id": sequential["pipeline_id"],
        "package_url": {"pipeline_url": f"{url}/arguments.zip"},
    }
    version = api.post(f"/pipelines/{last['pipeline_id']}/versions", body)
    assert version == {**version, **body, "pipeline_id": last["pipeline_id"]}

    by_name = [
        "arguments-parameters.yaml",
        "arguments_parameters.zip",
        "hello-world.yaml",
        "sequential",
        "zip-arguments-parameters",
    ]
    listing = ("/pipelines", "pipelines")
    assert pages(api, *listing, (2, 3), sort_by="name") == [by_name[:2], by_name[2:]]
    assert pages(api, *listing, (3, 3), sort_by="created_at") == [
        ["hello-world.yaml", "arguments-parameters.yaml", "sequential"],
        ["zip-arguments-parameters", "arguments_parameters.zip"],
    ]
    assert pages(api, *listing, (3, 3), sort_by="name desc") == [by_name[:1:-1], by_name[1::-1]]
    assert api.call("GET", "/pipelines", sort_by=UNKNOWN).status == 400
    assert api.get(f"/pipelines/{kept['pipeline_id']}") == kept


@case("v2/integration/pipeline_version_api_test.go: PipelineVersionApiTest.TestPipelineSpec")
def test_versions(fetching, elsewhere, files, taking):
    api, (_, url) = fetching, elsewhere
    name = f"test-pipeline-{time.time_ns()}"
    made = api.upload(
        "/pipelines/upload", "arguments.json", files["arguments.json"], name=name
    ).body
    assert (made["name"], made["display_name"]) == (name, name)
    path = f"/pipelines/{made['pipeline_id']}/versions"

    def upload(file, **query):
        where = {"pipelineid": made["pipeline_id"], **query}
        return api.upload("/pipelines/upload_version", file, files[file], **where)

    # Called as its file, where it has no other name.
    assert upload("arguments.json").body["display_name"] == "arguments.json"
    assert upload("arguments.json").status == 409
    fetched = {"pipeline_url": f"{url}/sequential.json"}
    named = {"name": "sequential-v2", "display_name": "sequential", "package_url": fetched}
    told = api.post(path, named)
    assert (told["name"], told["display_name"]) == ("sequential-v2", "sequential")
    zipped = upload("arguments.zip", name="zip-arguments").body
    assert zipped["display_name"] == "zip-arguments"
    fetched = {"pipeline_url": f"{url}/arguments.zip"}
    last = api.post(path, {"display_name": "arguments", "package_url": fetched})
    assert last["display_name"] == "arguments"

    by_name = ["arguments", "arguments.json", "sequential", name, "zip-arguments"]
    listing = (path, "pipeline_versions")
    assert pages(api, *listing, (3, 3), sort_by="name") == [by_name[:3], by_name[3:]]
    assert pages(api, *listing, (3, 3), sort_by="created_at") == [
        [name, "arguments.json", "sequential"],
        ["zip-arguments", "arguments"],
    ]
    assert pages(api, *listing, (3, 3), sort_by="name desc") == [by_name[:1:-1], by_name[1::-1]]
    assert api.call("GET", path, sort_by=UNKNOWN).status == 400
    found = api.get(f"{path}/{last['pipeline_version_id']}")
    assert found == last
    assert found["pipeline_spec"] == taking


@case("v2/integration/pipeline_version_api_test.go: PipelineVersionApiTest.TestV2Spec")
@case("integration/pipeline_version_api_test.go: PipelineVersionApiTest.TestV2Spec")
def test_another_pipeline_as_a_version(kept, hello, api, taking):
    pipeline = kept.try_upload("", json.dumps(taking).encode(), "arguments.json").body
    made = kept.upload_version(pipeline, "hello-world")
    assert (made["display_name"], made["pipeline_spec"]) == ("hello-world", hello)
    first = api.get(f"/apis/v1beta1/pipeline_versions/{made['pipeline_version_id']}/templates")
    assert yaml.safe_load(first["template"]) == hello


@case("integration/pipeline_api_test.go: PipelineApiTest.TestPipelineAPI")
def test_pipelines_of_the_first_version(fetching, elsewhere, files, hello, taking):
    api, (_, url), prefix = fetching, elsewhere, "/apis/v1beta1"
    for each in api.get("/pipelines", page_size=200).get("pipelines", []):
        api.delete(f"/pipelines/{each['pipeline_id']}", cascade="true")

    def upload(file, name):
        return api.upload(f"{prefix}/pipelines/upload", file, files[file], name=name)

    first = upload("hello-world.json", "v2-hello-world.yaml").body
    second = upload("arguments.json", "arguments-parameters.yaml").body
    assert (first["name"], second["name"]) == ("v2-hello-world.yaml", "arguments-parameters.yaml")
    assert upload("arguments.json", "arguments-parameters.yaml").status == 409
    fetched = {"pipeline_url": f"{url}/sequential.json"}
    made = api.post(f"{prefix}/pipelines", {"name": "sequential", "url": fetched})
    assert made["name"] == "sequential"
    assert upload("arguments.zip", "zip-arguments-parameters").body["name"].startswith("zip")
    fetched = {"pipeline_url": f"{url}/arguments.zip"}
    made = api.post(f"{prefix}/pipelines", {"name": "arguments.pipeline.zip", "url": fetched})
    assert made["name"] == "arguments.pipeline.zip"

    by_name = [
        "arguments-parameters.yaml",
        "arguments.pipeline.zip",
        "sequential",
        "v2-hello-world.yaml",
        "zip-arguments-parameters",
    ]
    listing = (f"{prefix}/pipelines", "pipelines")
    assert pages(api, *listing, (2, 3), sort_by="name") == [by_name[:2], by_name[2:]]
    assert pages(api, *listing, (3, 3), sort_by="created_at")[0] == [
        "v2-hello-world.yaml",
        "arguments-parameters.yaml",
        "sequential",
    ]
    assert pages(api, *listing, (3, 3), sort_by="name desc") == [by_name[:1:-1], by_name[1::-1]]
    assert api.call("GET", f"{prefix}/pipelines", sort_by=UNKNOWN).status == 400
    found = api.get(f"{prefix}/pipelines/{second['id']}")
    assert (found["id"], found["name"]) == (second["id"], second["name"])
    assert found["created_at"]
    assert {each["name"] for each in found["parameters"]} == {"param1", "param2"}
    for pipeline, spec in ((first, hello), (second, taking)):
        told = api.get(f"{prefix}/pipelines/{pipeline['id']}/templates")
        assert yaml.safe_load(told["template"]) == spec


@case("integration/pipeline_version_api_test.go: PipelineVersionApiTest.TestArgoSpec")
def test_packages_as_versions(fetching, elsewhere, package, package_files):
    api, (_, url), prefix = fetching, elsewhere, "/apis/v1beta1"
    for each in api.get("/pipelines", page_size=200).get("pipelines", []):
        api.delete(f"/pipelines/{each['pipeline_id']}", cascade="true")
    file, zipped = "arguments-parameters.yaml", "arguments_parameters.zip"

    where = f"{prefix}/pipelines/upload"
    made = api.upload(where, file, package_files[file], name="test_pipeline").body
    assert made["name"] == "test_pipeline"
    (listed,) = api.get(f"{prefix}/pipelines")["pipelines"]
    assert listed["id"] == made["id"]
    owner = {"key": {"type": "PIPELINE", "id": made["id"]}, "relationship": "OWNER"}

    def upload(file, **query):
        where = f"{prefix}/pipelines/upload_version"
        return api.upload(where, file, package_files[file], **query)

    def fetched(name, file):
        source = {"package_url": {"pipeline_url": f"{url}/{file}"}}
        body = {"name": name, **source, "resource_references": [owner]}
        return api.post(f"{prefix}/pipeline_versions", body)

    second = upload(file, pipelineid=made["id"]).body
    assert second["name"] == file
    found = api.get(f"{prefix}/pipelines/{made['id']}")
    assert found["default_version"]["id"] == second["id"]
    assert [upload(file, **query).status for query in ({}, {"pipelineid": made["id"]})] == [
        400,
        409,
    ]
    assert fetched("sequential", "sequential.yaml")["name"] == "sequential"
    third = upload(zipped, pipelineid=made["id"], name="zip-arguments-parameters").body
    assert third["name"] == "zip-arguments-parameters"
    last = fetched("arguments", zipped)
    assert last["name"] == "arguments"

    of = {"resource_key.type": "PIPELINE", "resource_key.id": made["id"]}
    listing = (f"{prefix}/pipeline_versions", "versions")
    by_name = ["arguments", file, "sequential", "test_pipeline", "zip-arguments-parameters"]
    assert pages(api, *listing, (3, 3), sort_by="name", **of) == [by_name[:3], by_name[3:]]
    assert pages(api, *listing, (3, 3), sort_by="created_at", **of) == [
        ["test_pipeline", file, "sequential"],
        ["zip-arguments-parameters", "arguments"],
    ]
    backwards = pages(api, *listing, (3, 3), sort_by="name desc", **of)
    assert backwards == [by_name[:1:-1], by_name[1::-1]]
    assert api.call("GET", listing[0], sort_by=UNKNOWN, **of).status == 400
    found = api.get(f"{prefix}/pipeline_versions/{last['id']}")
    assert (found["name"], bool(found["created_at"])) == ("arguments", True)
    # One has a value, the other has none.
    assert found["parameters"] == [{"name": "param1", "value": "hello"}, {"name": "param2"}]
    told = api.get(f"{prefix}/pipeline_versions/{second['id']}/templates")
    assert yaml.safe_load(told["template"]) == package
