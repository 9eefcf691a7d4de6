"""Conversion webhooks: every verb in a version that is not the stored one."""

import asyncio
from typing import Any

import pytest

from wherry.objects import errors, kinds
from wherry.objects.requests import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Request
from wherry.objects.resources import Resource

CRDS = kinds.CUSTOM_RESOURCE_DEFINITIONS
IN_DEFAULT = {"namespace": "default"}


def stored(api: Any, name: str) -> Any:
    (record,) = (
        each for each in api.store.list("links.example.com").records if each.key.name == name
    )
    return record.value()


async def test_objects_are_stored_in_one_version_and_read_in_both(api: Any, links: Any) -> None:
    v1, v2 = links
    made = await api.create(v2, "a", spec={"host": "h", "port": "80", "replicas": 2})
    assert (made["apiVersion"], made["spec"]) == (
        "example.com/v2",
        {"host": "h", "port": "80", "replicas": 2},
    )
    kept = stored(api, "a")
    assert (kept["apiVersion"], kept["spec"]) == ("example.com/v1", {"hostPort": "h:80", "size": 2})
    assert (await api.get(v1, "a"))["spec"] == {"hostPort": "h:80", "size": 2}
    read = await api.get(v2, "a")
    assert read["spec"] == {"host": "h", "port": "80", "replicas": 2}
    assert read["metadata"]["uid"] == kept["metadata"]["uid"]
    read["spec"]["port"] = "81"
    changed = await api.send("update", v2, name="a", body=read, **IN_DEFAULT)
    assert (changed["spec"]["port"], changed["metadata"]["generation"]) == ("81", 2)
    assert stored(api, "a")["spec"]["hostPort"] == "h:81"


async def test_patches_in_the_other_version(api: Any, links: Any) -> None:
    v1, v2 = links
    await api.create(v1, "a", spec={"hostPort": "h:80"})
    merge = {"body": {"spec": {"host": "i"}}, "content_type": MERGE_PATCH}
    patched = await api.send("patch", v2, name="a", **IN_DEFAULT, **merge)
    assert patched["spec"] == {"host": "i", "port": "80"}
    steps = [{"op": "replace", "path": "/spec/port", "value": "9"}]
    steps_patch = {"body": steps, "content_type": JSON_PATCH}
    await api.send("patch", v2, name="a", **IN_DEFAULT, **steps_patch)
    assert stored(api, "a")["spec"] == {"hostPort": "i:9"}
    dry = {"options": {"dryRun": "All"}}
    shown = await api.send("patch", v2, name="a", **IN_DEFAULT, **merge, **dry)
    assert shown["spec"] == {"host": "i", "port": "9"}


async def test_appliers_of_both_versions_share_an_object(api: Any, links: Any) -> None:
    v1, v2 = links

    async def apply(resource: Any, manager: str, spec: Any, **options: str) -> Any:
        body = {
            "apiVersion": resource.api_version,
            "kind": "Link",
            "metadata": {"name": "a"},
            "spec": spec,
        }
        options = {"fieldManager": manager, **options}
        how = {"content_type": APPLY_PATCH, "options": options}
        return await api.send("patch", resource, name="a", body=body, **IN_DEFAULT, **how)

    await apply(v1, "old", {"hostPort": "h:80"})
    await apply(v2, "new", {"replicas": 3})
    assert stored(api, "a")["spec"] == {"hostPort": "h:80", "size": 3}
    with pytest.raises(errors.ConflictError, match=r'conflict with "old": \.spec\.hostPort'):
        await apply(v2, "new", {"host": "other", "replicas": 3})
    left = await apply(v2, "new", {"host": "other", "port": "1"}, force="true")
    assert left["spec"] == {"host": "other", "port": "1"}
    owners = {each["manager"] for each in left["metadata"]["managedFields"]}
    assert owners == {"new"}


async def test_status_and_scale_in_the_other_version(api: Any, links: Any) -> None:
    v1, v2 = links
    await api.create(v1, "a", spec={"hostPort": "h:80", "size": 1})
    body = {"body": {"status": {"ready": 1, "replicas": 1}}, "content_type": MERGE_PATCH}
    written = await api.send("patch", v2, name="a", subresource="status", **IN_DEFAULT, **body)
    assert (written["status"], written["spec"]["host"]) == ({"ready": 1, "replicas": 1}, "h")
    scale = await api.send("get", v2, name="a", subresource="scale", **IN_DEFAULT)
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 1})
    scale["spec"]["replicas"] = 5
    await api.send("update", v2, name="a", subresource="scale", body=scale, **IN_DEFAULT)
    assert stored(api, "a")["spec"] == {"hostPort": "h:80", "size": 5}


async def test_a_list_is_one_question_about_what_is_stored_otherwise(
    api: Any, links: Any, converting: Any
) -> None:
    v1, v2 = links
    for name in "abc":
        await api.create(v1, name, spec={"hostPort": f"{name}:1"})
    converting.asked.clear()
    listed = await api.send("list", v2, **IN_DEFAULT)
    assert [each["spec"]["host"] for each in listed["items"]] == ["a", "b", "c"]
    assert {each["apiVersion"] for each in listed["items"]} == {"example.com/v2"}
    assert [len(each["objects"]) for each in converting.asked] == [3]
    page = await api.send("list", v2, **IN_DEFAULT, options={"limit": "2"})
    assert [len(each["objects"]) for each in converting.asked] == [3, 2]
    options = {"limit": "2", "continue": page["metadata"]["continue"]}
    rest = await api.send("list", v2, **IN_DEFAULT, options=options)
    assert [each["spec"]["host"] for each in rest["items"]] == ["c"]
    converting.asked.clear()
    await api.send("list", v1, **IN_DEFAULT)
    assert converting.asked == []


async def test_fields_are_selected_in_the_version_that_was_asked_for(
    api: Any, links: Any, converting: Any
) -> None:
    v1, v2 = links
    for name in "abc":
        await api.create(v1, name, spec={"hostPort": f"{name}:1"})
    converting.asked.clear()
    options = {"fieldSelector": "spec.host=b"}
    found = await api.send("list", v2, **IN_DEFAULT, options=options)
    assert [each["metadata"]["name"] for each in found["items"]] == ["b"]
    assert [len(each["objects"]) for each in converting.asked] == [3, 1]
    gone = await api.send("deletecollection", v2, **IN_DEFAULT, options=options)
    assert [each["spec"]["host"] for each in gone["items"]] == ["b"]
    left = await api.send("list", v1, **IN_DEFAULT)
    assert [each["metadata"]["name"] for each in left["items"]] == ["a", "c"]


async def test_tables_show_the_version_that_was_asked_for(
    api: Any, links: Any, session: Any
) -> None:
    v1, v2 = links
    await api.create(v1, "a", spec={"hostPort": "h:80"})
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    for resource, cell in ((v1, "h:80"), (v2, "h")):
        for name in ("a", None):
            async with session.get(resource.path("default", name), headers=accept) as answer:
                table = await answer.json()
            assert table["rows"][0]["cells"] == ["a", cell]


async def test_a_deletion_that_waits_answers_in_the_version_that_was_asked_for(
    api: Any, links: Any
) -> None:
    v1, v2 = links
    await api.create(v1, "a", metadata={"finalizers": ["x.y/z"]}, spec={"hostPort": "h:80"})
    left = await api.send("delete", v2, name="a", **IN_DEFAULT)
    assert (left["spec"]["host"], "deletionTimestamp" in left["metadata"]) == ("h", True)
    body = {"body": {"metadata": {"finalizers": None}}, "content_type": MERGE_PATCH}
    gone = await api.send("patch", v2, name="a", **IN_DEFAULT, **body)
    assert gone["spec"]["host"] == "h"
    with pytest.raises(errors.NotFoundError):
        await api.get(v1, "a")


async def test_watches_tell_in_their_version_and_end_where_that_fails(
    api: Any, links: Any, converting: Any
) -> None:
    v1, v2 = links
    await api.create(v1, "a", spec={"hostPort": "a:1"})
    options = {"allowWatchBookmarks": "true", "timeoutSeconds": "20"}
    events = api.transport.watch(Request("watch", v2, namespace="default", options=options))
    seen = [await anext(events)]
    for name in "bc":
        await api.create(v1, name, spec={"hostPort": f"{name}:1"})
        seen.append(await anext(events))
    assert [each.object["spec"]["host"] for each in seen] == ["a", "b", "c"]
    assert {each.object["apiVersion"] for each in seen} == {"example.com/v2"}
    await api.send("delete", v1, name="a", **IN_DEFAULT)
    gone = await anext(events)
    assert (gone.type, gone.object["spec"]) == ("DELETED", {"host": "a", "port": "1"})

    def refuse(answer: Any) -> None:
        answer["response"]["result"] = {"status": "Failed", "message": "no such port"}

    converting.on_review = refuse
    await api.create(v1, "d", spec={"hostPort": "d:1"})
    with pytest.raises(errors.InternalError, match="failed: no such port"):
        await anext(events)
    await events.aclose()


def _count(answer: Any) -> None:
    answer["response"]["convertedObjects"] = []


def _uid(answer: Any) -> None:
    answer["response"]["uid"] = "another"


def _version(answer: Any) -> None:
    answer["response"]["convertedObjects"][0]["apiVersion"] = "example.com/v3"


def _kind(answer: Any) -> None:
    answer["response"]["convertedObjects"][0]["kind"] = "Chain"


def _no_object(answer: Any) -> None:
    answer["response"]["convertedObjects"][0] = 1


def _no_metadata(answer: Any) -> None:
    del answer["response"]["convertedObjects"][0]["metadata"]


def _name(answer: Any) -> None:
    answer["response"]["convertedObjects"][0]["metadata"]["name"] = "b"


def _object_uid(answer: Any) -> None:
    answer["response"]["convertedObjects"][0]["metadata"]["uid"] = "b"


def _labels(answer: Any) -> None:
    answer["response"]["convertedObjects"][0]["metadata"]["labels"] = {"a": 1}


def _bad_label(answer: Any) -> None:
    answer["response"]["convertedObjects"][0]["metadata"]["labels"] = {"a b": "c"}


def _failed(answer: Any) -> None:
    answer["response"]["result"] = {"status": "Failed"}


def _silent(answer: Any) -> None:
    del answer["response"]


def _other_review(answer: Any) -> None:
    answer["kind"] = "AdmissionReview"


def _down(answer: Any) -> int:
    return 503


def _long(answer: Any) -> None:
    answer["response"]["more"] = "x" * (17 * 1024 * 1024)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (_count, "returned 0 objects, expected 1"),
        (_uid, 'failed: expected response.uid="'),
        (
            _version,
            r"index 0: invalid groupVersion \(expected example.com/v2, received example.com/v3",
        ),
        (_kind, r"index 0: invalid kind \(expected Link, received Chain"),
        (_no_object, "index 0: it is no object"),
        (_no_metadata, "index 0: missing metadata in converted object"),
        (_name, "index 0: must have the same name: a != b"),
        (_object_uid, "index 0: must have the same UID: "),
        (_labels, r"metadata.labels\[a\] must be a string"),
        (_bad_label, "returned invalid metadata in object at index 0: metadata.labels"),
        (_failed, "failed: response.result.status was 'Failed', not 'Success'"),
        (_silent, "failed: no response provided"),
        (_other_review, "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=Conv"),
        (
            _down,
            'failed: Post "https://127.0.0.1:.*timeout=30s": the server answered with status 503',
        ),
        (_long, "with status 200 and more than 16777216 bytes"),
    ],
)
async def test_what_comes_back_is_checked(
    api: Any, links: Any, converting: Any, fault: Any, words: str
) -> None:
    v1, v2 = links
    await api.create(v1, "a", spec={"hostPort": "h:80"})
    converting.on_review = fault
    with pytest.raises(errors.InternalError, match=words) as caught:
        await api.get(v2, "a")
    who = "conversion webhook for example.com/v1, Kind=Link "
    assert caught.value.message.startswith(who)
    assert caught.value.code == 500


async def test_only_labels_and_annotations_of_the_metadata_change(
    api: Any, links: Any, converting: Any
) -> None:
    v1, v2 = links
    made = await api.create(v1, "a", metadata={"labels": {"a": "b"}}, spec={"hostPort": "h:80"})

    def change(answer: Any) -> None:
        metadata = answer["response"]["convertedObjects"][0]["metadata"]
        metadata |= {"labels": {"c": "d"}, "annotations": {"e": "f"}, "generation": 9}
        metadata |= {"finalizers": ["x.y/z"], "resourceVersion": "1"}

    converting.on_review = change
    read = (await api.get(v2, "a"))["metadata"]
    assert (read.pop("labels"), read.pop("annotations")) == ({"c": "d"}, {"e": "f"})
    del made["metadata"]["labels"]
    assert read == made["metadata"]


async def test_what_a_version_does_not_know_is_not_stored(
    api: Any, links: Any, converting: Any
) -> None:
    _, v2 = links

    def add(answer: Any) -> None:
        answer["response"]["convertedObjects"][0]["spec"]["secret"] = "x"

    converting.on_review = add
    made = await api.create(v2, "a", spec={"host": "h", "port": "1"})
    assert made["spec"] == {"host": "h", "port": "1"}
    assert stored(api, "a")["spec"] == {"hostPort": "h:1"}


async def test_a_webhook_that_is_slow_is_given_up(
    api: Any, links: Any, converting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    v1, v2 = links
    await api.create(v1, "a", spec={"hostPort": "h:80"})
    monkeypatch.setattr("wherry.apiserver.crds.conversion_webhook._SECONDS", 0.2)
    released = asyncio.Event()

    async def wait(answer: Any) -> None:
        await released.wait()

    converting.on_review = wait
    with pytest.raises(errors.InternalError, match="context deadline exceeded"):
        await api.get(v2, "a")
    released.set()


async def test_others_are_served_while_a_webhook_thinks(
    api: Any, links: Any, converting: Any
) -> None:
    v1, v2 = links
    await api.create(v1, "a", spec={"hostPort": "h:80"})
    asked, released = asyncio.Event(), asyncio.Event()

    async def wait(answer: Any) -> None:
        asked.set()
        await released.wait()

    converting.on_review = wait
    merge = {"body": {"spec": {"port": "9"}}, "content_type": MERGE_PATCH}
    patch = asyncio.create_task(api.send("patch", v2, name="a", **IN_DEFAULT, **merge))
    put = await api.get(v1, "a")
    await asked.wait()
    converting.on_review = None
    put["spec"]["note"] = "meanwhile"
    await api.send("update", v1, name="a", body=put, **IN_DEFAULT)
    released.set()
    done = await patch
    # The patch is made again on top of what was written meanwhile: neither write is lost.
    assert done["spec"] == {"host": "h", "port": "9", "note": "meanwhile"}
    released.clear()
    asked.clear()
    converting.on_review = wait
    late = asyncio.create_task(api.send("update", v2, name="a", body=done, **IN_DEFAULT))
    await asked.wait()
    converting.on_review = None
    newer = {"body": {"spec": {"note": "again"}}, "content_type": MERGE_PATCH}
    await api.send("patch", v1, name="a", **IN_DEFAULT, **newer)
    released.set()
    with pytest.raises(errors.ConflictError, match="the object has been modified"):
        await late


async def test_the_stored_version_needs_no_webhook(api: Any, links: Any, converting: Any) -> None:
    v1, v2 = links
    await converting.stop()
    watch = api.transport.watch(Request("watch", v1, namespace="default"))
    made = await api.create(v1, "a", spec={"hostPort": "h:80"})
    assert (await anext(watch)).type == "ADDED"
    await watch.aclose()
    made["spec"]["size"] = 2
    await api.send("update", v1, name="a", body=made, **IN_DEFAULT)
    await api.create(v1, "b", metadata={"finalizers": ["x.y/z"]})
    assert len((await api.send("list", v1, **IN_DEFAULT))["items"]) == 2
    with pytest.raises(errors.InternalError, match=r"failed: Post .*127.0.0.1"):
        await api.get(v2, "a")
    with pytest.raises(errors.InternalError, match="failed: Post"):
        await api.create(v2, "c", spec={"host": "h"})
    # A deletion changes metadata alone, so even the other version can ask for it.
    await api.send("delete", v2, name="a", **IN_DEFAULT)
    await api.send("deletecollection", v1, **IN_DEFAULT)
    body = {"body": {"metadata": {"finalizers": None}}, "content_type": MERGE_PATCH}
    await api.send("patch", v1, name="b", **IN_DEFAULT, **body)
    await api.create(v1, "d")
    await api.send("delete", CRDS, name="links.example.com")
    async with asyncio.timeout(60):
        while True:
            try:
                await api.send("get", CRDS, name="links.example.com")
            except errors.NotFoundError:
                break
            await asyncio.sleep(0.02)
    assert not api.store.list("links.example.com").records


async def test_a_service_of_the_cluster_converts(
    api: Any, converting: Any, link_definition: Any
) -> None:
    spec = {"clusterIP": "None", "type": "ExternalName", "externalName": "127.0.0.1"}
    ports = [{"port": converting.port}]
    await api.create(kinds.SERVICES, "hooks", spec={**spec, "ports": ports})
    service = {"namespace": "default", "name": "hooks", "path": "/v", "port": converting.port}
    config = {"service": service, "caBundle": converting.authority}
    body = link_definition(
        **converting.by_config(config, conversionReviewVersions=["v2", "v1beta1"])
    )
    made = await api.send("create", CRDS, body=body)
    v1, v2 = (Resource("example.com", each, "links", "Link") for each in ("v1", "v2"))
    await api.create(v1, "a", spec={"hostPort": "h:80"})
    assert (await api.get(v2, "a"))["spec"]["host"] == "h"
    made["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["name"] = "nobody"
    await api.send("update", CRDS, name="links.example.com", body=made)
    with pytest.raises(errors.InternalError, match='failed: service "nobody" not found'):
        await api.get(v2, "a")


async def test_the_stored_version_can_be_changed(
    api: Any, links: Any, converting: Any, link_definition: Any
) -> None:
    v1, v2 = links
    await api.create(v1, "old", spec={"hostPort": "h:80"})
    watch = api.transport.watch(Request("watch", v1, namespace="default"))
    await anext(watch)
    crd = await api.send("get", CRDS, name="links.example.com")
    crd["spec"]["versions"] = link_definition("v2")["spec"]["versions"]
    crd = await api.send("update", CRDS, name="links.example.com", body=crd)
    assert crd["status"]["storedVersions"] == ["v1", "v2"]
    await api.create(v1, "new", spec={"hostPort": "i:90"})
    assert stored(api, "new")["spec"] == {"host": "i", "port": "90"}
    told = await anext(watch)
    assert (told.object["apiVersion"], told.object["spec"]) == (
        "example.com/v1",
        {"hostPort": "i:90"},
    )
    await watch.aclose()
    # Old objects stay as they are until they are written.
    for resource in links:
        listed = await api.send("list", resource, **IN_DEFAULT)
        assert {each["apiVersion"] for each in listed["items"]} == {resource.api_version}
    assert stored(api, "old")["apiVersion"] == "example.com/v1"
    without = {**crd, "spec": {**crd["spec"], "versions": crd["spec"]["versions"][1:]}}
    with pytest.raises(errors.InvalidError) as caught:
        await api.send("update", CRDS, name="links.example.com", body=without)
    (cause,) = caught.value.details["causes"]
    assert cause["field"] == "status.storedVersions[0]"
    assert cause["message"] == 'Invalid value: "v1": must appear in spec.versions'
    old = await api.get(v2, "old")
    await api.send("update", v2, name="old", body=old, **IN_DEFAULT)
    assert stored(api, "old")["spec"] == {"host": "h", "port": "80"}
    status = {**crd, "status": {**crd["status"], "storedVersions": ["v1"]}}
    where = {"name": "links.example.com", "subresource": "status"}
    with pytest.raises(errors.InvalidError, match="must have the storage version v2"):
        await api.send("update", CRDS, body=status, **where)
    status["status"]["storedVersions"] = ["v2"]
    crd = await api.send("update", CRDS, body=status, **where)
    crd["spec"]["versions"] = crd["spec"]["versions"][1:]
    await api.send("update", CRDS, name="links.example.com", body=crd)
    with pytest.raises(errors.NotFoundError):
        await api.get(v1, "old")
    assert (await api.get(v2, "old"))["spec"]["host"] == "h"


async def test_admission_webhooks_and_policies_see_the_version_of_their_rules(
    api: Any, links: Any
) -> None:
    v1, _ = links
    rule = {
        "operations": ["*"],
        "apiGroups": ["example.com"],
        "apiVersions": ["v2"],
        "resources": ["links"],
    }
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "object.spec.host != 'bad'", "message": "a bad host"}],
    }
    await api.create(kinds.VALIDATING_ADMISSION_POLICIES, "hosts", spec=spec)
    binding = {"policyName": "hosts", "validationActions": ["Deny"]}
    await api.create(kinds.VALIDATING_ADMISSION_POLICY_BINDINGS, "hosts", spec=binding)
    with pytest.raises(errors.ApiError, match="a bad host"):
        await api.create(v1, "a", spec={"hostPort": "bad:80"})
    await api.create(v1, "a", spec={"hostPort": "good:80"})


@pytest.mark.parametrize(
    ("conversion", "field", "words"),
    [
        ({"strategy": "Magic"}, "strategy", 'supported values: "None", "Webhook"'),
        (
            {"strategy": "Webhook"},
            "webhook.clientConfig",
            "required when strategy is set to Webhook",
        ),
        (
            {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}},
            "webhook",
            "should not",
        ),
        (
            {
                "strategy": "Webhook",
                "webhook": {"clientConfig": {}, "conversionReviewVersions": ["v1"]},
            },
            "webhook.clientConfig",
            "exactly one of url or service is required",
        ),
        (
            {
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {"url": "http://h/?a=b"},
                    "conversionReviewVersions": ["v1"],
                },
            },
            "webhook.clientConfig.url",
            "'https' is the only allowed URL scheme",
        ),
        (
            {
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {"service": {"namespace": "a", "name": "b", "path": "c"}},
                    "conversionReviewVersions": ["v1"],
                },
            },
            "webhook.clientConfig.service.path",
            "must start with a '/'",
        ),
        (
            {
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {"url": "https://h/"},
                    "conversionReviewVersions": ["v2", "v2"],
                },
            },
            "webhook.conversionReviewVersions",
            "must include at least one of v1, v1beta1",
        ),
    ],
)
async def test_definitions_say_whom_to_ask(
    api: Any, link_definition: Any, conversion: Any, field: str, words: str
) -> None:
    body = link_definition(**conversion)
    with pytest.raises(errors.InvalidError) as caught:
        await api.send("create", CRDS, body=body)
    causes = caught.value.details["causes"]
    assert any(
        each["field"] == f"spec.conversion.{field}" and words in each["message"] for each in causes
    ), causes
