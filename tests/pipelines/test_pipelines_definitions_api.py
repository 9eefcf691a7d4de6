"""Pipelines and versions by REST and by kubectl: the same things."""

import json
import uuid

import pytest

from wherry.controller.cache import Cache
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.pipelines.definitions import kinds
from wherry.pipelines.definitions.index import Index
from wherry.pipelines.definitions.store import Definitions
from wherry.testing.waiting import eventually

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def spec(pipeline):
    made = pipeline(size="NUMBER_INTEGER")
    made.step("say", "true")
    made.task("say")
    return made.spec()["pipelineSpec"]


@pytest.fixture
def namespace(shared_platform):
    body = {"metadata": {"generateName": "definitions-"}}
    made = shared_platform.call(shared_platform.client.create(core.NAMESPACES, body))
    return metadata.name(made)


@pytest.fixture
def kept(api, namespace):
    """A pipeline without versions."""
    body = {"name": "train", "display_name": "Train it", "namespace": namespace}
    return api.post("/pipelines", {**body, "tags": {"team": "red"}})


def version(api, pipeline, name, spec, **fields):
    body = {"name": name, "pipeline_spec": spec, **fields}
    return api.post(f"/pipelines/{pipeline['pipeline_id']}/versions", body)


def test_a_pipeline_is_made_found_changed_and_deleted(api, kept, namespace):
    path = f"/pipelines/{kept['pipeline_id']}"
    assert api.get(path) == kept
    assert api.get("/pipelines/names/train", namespace=namespace) == kept
    assert kept["tags"] == {"team": "red"}
    assert kept["namespace"] == namespace
    changed = api.call("PATCH", path, {"display_name": "Train them"}).body
    assert (changed["display_name"], changed["tags"]) == ("Train them", {"team": "red"})
    assert "tags" not in api.call("PATCH", path, {"tags": {}}).body
    api.delete(path)
    assert api.call("GET", path).status == 404
    assert api.call("GET", "/pipelines/names/train", namespace=namespace).status == 404


@pytest.mark.parametrize(
    "name", ["My Pipeline #1", "[Tutorial] Data passing.yaml", "UPPER", "äöü", "-", "a" * 128]
)
def test_names_are_any_text_and_there_is_one_of_each(api, namespace, name):
    made = api.post("/pipelines", {"name": name, "namespace": namespace})
    assert (made["name"], made["display_name"]) == (name, name)
    again = api.call("POST", "/pipelines", {"name": name, "namespace": namespace})
    assert again.status == 409
    assert name in again.body["message"] or json.dumps(name)[1:-1] in again.body["message"]
    assert api.post("/pipelines", {"name": f"{name[:100]} "[:128] + "x", "namespace": namespace})


def test_versions_are_listed_by_age_and_the_last_one_is_the_latest(api, kept, spec):
    names = [f"v{number}" for number in (3, 1, 2)]
    made = [version(api, kept, name, spec, tags={"n": name}) for name in names]
    path = f"/pipelines/{kept['pipeline_id']}/versions"
    listed = api.get(path, sort_by="created_at")
    assert [each["name"] for each in listed["pipeline_versions"]] == names
    assert listed["total_size"] == 3
    assert api.get(f"{path}/{made[0]['pipeline_version_id']}") == made[0]
    assert made[0]["pipeline_spec"] == spec
    assert api.call("POST", path, {"name": "v1", "pipeline_spec": spec}).status == 409
    assert api.call("DELETE", f"/pipelines/{kept['pipeline_id']}").status == 400
    chosen = {"predicates": [{"operation": "EQUALS", "key": "tags.n", "string_value": "v2"}]}
    (found,) = api.get(path, filter=json.dumps(chosen))["pipeline_versions"]
    assert found["name"] == "v2"
    api.delete(f"{path}/{made[1]['pipeline_version_id']}")
    assert api.get(path)["total_size"] == 2
    api.delete(f"/pipelines/{kept['pipeline_id']}", cascade="true")
    assert api.call("GET", path).status == 404


def test_pipelines_of_the_same_second_are_listed_by_age(api, namespace):
    names = [f"p{number}" for number in (3, 1, 4, 2)]
    for name in names:
        api.post("/pipelines", {"name": name, "namespace": namespace})
    listed = api.get("/pipelines", namespace=namespace, sort_by="created_at")
    assert [each["name"] for each in listed["pipelines"]] == names


def test_pages_hold_each_pipeline_once(api, namespace):
    for number in range(7):
        api.post("/pipelines", {"name": f"p{number}", "namespace": namespace})
    found, token = [], None
    while token != "":
        page = api.get(
            "/pipelines", namespace=namespace, page_size=3, page_token=token, sort_by="name desc"
        )
        found += [each["name"] for each in page["pipelines"]]
        token = page.get("next_page_token", "")
    assert found == [f"p{number}" for number in range(6, -1, -1)]


def test_what_is_not_right_is_refused_and_nothing_is_kept(api, kept, spec, namespace):
    path = f"/pipelines/{kept['pipeline_id']}/versions"
    wrong = json.loads(json.dumps(spec))
    wrong["root"]["dag"]["tasks"]["say"]["componentRef"]["name"] = "comp-other"
    refused = api.call("POST", path, {"name": "v1", "pipeline_spec": wrong})
    assert refused.status == 400
    assert "say" in refused.body["message"]
    assert api.get(path).get("total_size", 0) == 0
    both = {
        "pipeline": {"name": "both", "namespace": namespace},
        "pipeline_version": {"pipeline_spec": wrong},
    }
    assert api.call("POST", "/pipelines/create", both).status == 400
    assert api.call("GET", "/pipelines/names/both", namespace=namespace).status == 404
    both["pipeline_version"]["pipeline_spec"] = spec
    made = api.post("/pipelines/create", both)
    (found,) = api.get(f"/pipelines/{made['pipeline_id']}/versions")["pipeline_versions"]
    assert found["name"] == "both"


@pytest.mark.parametrize(
    "tags",
    [
        {str(number): "x" for number in range(21)},
        {"a.b": "x"},
        {"": "x"},
        {"k" * 64: "x"},
        {"k": "v" * 64},
    ],
)
def test_tags_are_bounded(api, kept, namespace, tags):
    assert (
        api.call("POST", "/pipelines", {"name": "t", "namespace": namespace, "tags": tags}).status
        == 400
    )
    refused = api.call("PATCH", f"/pipelines/{kept['pipeline_id']}", {"tags": tags})
    assert refused.status == 400
    assert "tags" in refused.body["message"]
    assert api.get(f"/pipelines/{kept['pipeline_id']}")["tags"] == {"team": "red"}


def test_what_kubectl_applies_is_what_rest_shows(api, shared_platform, namespace, spec):
    def create(resource, name, **fields):
        body = {"metadata": {"name": name, "namespace": namespace}, "spec": fields}
        return shared_platform.call(shared_platform.client.create(resource, body))

    with pytest.raises(errors.InvalidError, match="no Pipeline 'train'"):
        create(kinds.PIPELINE_VERSIONS, "train-v1", pipelineName="train", pipelineSpec=spec)
    made = create(kinds.PIPELINES, "train", displayName="Train", tags={"team": "red"})
    first = create(
        kinds.PIPELINE_VERSIONS,
        "train-v1",
        pipelineName="train",
        versionName="v1",
        pipelineSpec=spec,
    )
    told = api.get("/pipelines/names/train", namespace=namespace)
    assert told["pipeline_id"] == metadata.uid(made)
    assert told["display_name"] == "Train"
    path = f"/pipelines/{told['pipeline_id']}/versions"
    (listed,) = api.get(path)["pipeline_versions"]
    assert (listed["name"], listed["pipeline_version_id"]) == ("v1", metadata.uid(first))
    # By the one way or by the other, there is one version of a name.
    assert api.call("POST", path, {"name": "v1", "pipeline_spec": spec}).status == 409
    shared_platform.call(shared_platform.client.delete(kinds.PIPELINES, "train", namespace))

    def gone():
        left = shared_platform.call(shared_platform.client.list(kinds.PIPELINE_VERSIONS, namespace))
        return not left.items

    assert eventually(gone)


def test_a_version_cannot_be_changed_but_for_its_name_and_tags(shared_platform, api, kept, spec):
    made = version(api, kept, "v1", spec)
    client, namespace = shared_platform.client, kept["namespace"]

    def change(**fields):
        patch = client.patch(kinds.PIPELINE_VERSIONS, "train-v1", {"spec": fields}, namespace)
        return shared_platform.call(patch)

    with pytest.raises(errors.InvalidError, match="description"):
        change(description="other")
    with pytest.raises(errors.InvalidError, match="pipelineSpec"):
        change(pipelineSpec={**spec, "sdkVersion": "other"})
    change(displayName="First", tags={"a": "b"})
    path = f"/pipelines/{kept['pipeline_id']}/versions/{made['pipeline_version_id']}"
    assert api.get(path)["display_name"] == "First"


def test_versions_of_pipelines_whose_names_run_together_are_apart(api, namespace, spec):
    """Pipeline a with version b-c, and pipeline a-b with version c."""
    for name, of in (("a", "b-c"), ("a-b", "c")):
        made = api.post("/pipelines", {"name": name, "namespace": namespace})
        version(api, made, of, spec)
        (found,) = api.get(f"/pipelines/{made['pipeline_id']}/versions")["pipeline_versions"]
        assert found["name"] == of


def test_shared_pipelines_are_read_by_everybody_and_written_by_few(api, spec):
    name = f"shared-{uuid.uuid4().hex[:8]}"
    made = api.post("/pipelines", {"name": name})
    assert "namespace" not in made
    path = f"/pipelines/{made['pipeline_id']}"
    assert api.call("GET", path, user="somebody").body == made
    assert api.call("GET", "/pipelines", user="somebody").status == 200
    for method, where, body in (
        ("POST", "/pipelines", {"name": f"{name}-2"}),
        ("PATCH", path, {"display_name": "mine"}),
        ("DELETE", path, None),
        ("POST", f"{path}/versions", {"name": "v1", "pipeline_spec": spec}),
    ):
        assert api.call(method, where, body, user="somebody").status == 403
    api.delete(path)


def test_others_do_not_learn_of_a_pipeline(api, kept, namespace, spec):
    made = version(api, kept, "v1", spec)
    path = f"/pipelines/{kept['pipeline_id']}"
    nowhere = f"/pipelines/{uuid.uuid4()}"
    for method, rest, body in (
        ("GET", "", None),
        ("DELETE", "", None),
        ("PATCH", "", {"display_name": "x"}),
        ("GET", "/versions", None),
        ("GET", f"/versions/{made['pipeline_version_id']}", None),
        ("POST", "/versions", {"name": "v2", "pipeline_spec": spec}),
    ):
        found = api.call(method, path + rest, body, user="somebody")
        other = api.call(method, nowhere + rest, body, user="somebody")
        assert found.status == other.status == 404
        told = found.body["message"].replace(kept["pipeline_id"], "X")
        assert told == other.body["message"].replace(nowhere.rpartition("/")[2], "X")
    for query in ({}, {"filter": "x"}):
        assert (
            api.call("GET", "/pipelines", user="somebody", namespace=namespace, **query).status
            == 403
        )


def test_a_change_holds_though_others_change_it_too(shared_platform, kept):
    """As the controller does, which holds a pipeline that is new."""
    client, namespace = shared_platform.client, kept["namespace"]
    index = Index(client, Cache(kinds.PIPELINE_VERSIONS))
    store = Definitions(client, Cache(kinds.PIPELINES), index)
    seen = shared_platform.call(client.get(kinds.PIPELINES, "train", namespace))
    labels = {"metadata": {"labels": {"a": "b"}}}
    shared_platform.call(client.patch(kinds.PIPELINES, "train", labels, namespace))
    changed = shared_platform.call(store.change(seen, display_name="New", tags={"other": "x"}))
    assert changed["spec"] == {"displayName": "New", "tags": {"other": "x"}}
    assert metadata.labels(changed) == {"a": "b"}
