import asyncio
import itertools
from typing import Any

import pytest

from wherry.apiserver.identity import Decision, User
from wherry.apiserver.server import ApiServer
from wherry.objects import errors, kinds, requests
from wherry.objects.requests import Request
from wherry.objects.resources import Resource


class Nobody:
    async def authenticate(self, headers: Any, peer_certificate: Any) -> Any:
        return None


class Nothing:
    def authorize(self, attributes: Any) -> Any:
        return Decision(False)


CRDS = kinds.CUSTOM_RESOURCE_DEFINITIONS
WIDGETS = Resource("example.com", "v1", "widgets", "Widget", subresources=("status", "scale"))
OLD_WIDGETS = Resource("example.com", "v1beta1", "widgets", "Widget")


def schema() -> Any:
    text = {"type": "string"}
    spec = {
        "type": "object",
        "required": ["color"],
        "properties": {
            "color": {**text, "enum": ["red", "blue"]},
            "size": {"type": "integer", "minimum": 1, "default": 3},
            "replicas": {"type": "integer"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    status = {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": text}}
    return {"type": "object", "properties": {"spec": spec, "status": status}}


def definition(**changes: Any) -> Any:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema()},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Color", "type": "string", "jsonPath": ".spec.color"}
        ],
        "selectableFields": [{"jsonPath": ".spec.color"}],
    }
    old = {"name": "v1beta1", "served": True, "storage": False}
    old["schema"] = {"openAPIV3Schema": schema()}
    spec = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
        "versions": [version, old],
    }
    return {"metadata": {"name": "widgets.example.com"}, "spec": {**spec, **changes}}


async def define(api: Any, **changes: Any) -> Any:
    return await api.send("create", CRDS, body=definition(**changes))


async def widget(api: Any, name: Any = "w", **spec: Any) -> Any:
    return await api.create(WIDGETS, name, spec={"color": "red", **spec})


async def test_definition_is_established_and_served_at_once(api: Any) -> None:
    made = await define(api)
    conditions = {each["type"]: each["status"] for each in made["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert made["spec"]["names"]["listKind"] == "WidgetList"
    assert made["status"]["storedVersions"] == ["v1"]
    created = await widget(api)
    assert created["apiVersion"] == "example.com/v1"
    assert created["spec"] == {"color": "red", "size": 3}
    assert created["metadata"]["generation"] == 1


async def test_schema_prunes_and_validates(api: Any) -> None:
    await define(api)
    made = await widget(api, unknown=1, free={"any": [1]})
    assert made["spec"] == {"color": "red", "size": 3, "free": {"any": [1]}}
    with pytest.raises(errors.InvalidError) as caught:
        await widget(api, "x", color="green", size=0)
    fields = {each["field"] for each in caught.value.details["causes"]}
    assert fields == {"spec.color", "spec.size"}
    with pytest.raises(errors.InvalidError, match="must be of type integer"):
        await widget(api, "x", size="big")
    with pytest.raises(
        errors.BadRequestError, match=r'strict decoding error: unknown field "spec\.x"'
    ):
        await api.send(
            "create",
            WIDGETS,
            namespace="default",
            body={"metadata": {"name": "x"}, "spec": {"color": "red", "x": 1}},
            options={"fieldValidation": "Strict"},
        )


async def test_older_objects_are_read_with_defaults_that_came_later(api: Any) -> None:
    crd = await define(api)
    made = await widget(api, "old", size=1)

    def add_default(properties: Any) -> None:
        properties["spec"]["properties"]["later"] = {"type": "string", "default": "x"}

    crd = await api.send("get", kinds.CUSTOM_RESOURCE_DEFINITIONS, name=crd["metadata"]["name"])
    for version in crd["spec"]["versions"]:
        add_default(version["schema"]["openAPIV3Schema"]["properties"])
    await api.send(
        "update", kinds.CUSTOM_RESOURCE_DEFINITIONS, name=crd["metadata"]["name"], body=crd
    )
    read = await api.get(WIDGETS, "old")
    assert read["spec"]["later"] == "x"
    assert read["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    listed = await api.send("list", WIDGETS, namespace="default")
    assert [each["spec"].get("later") for each in listed["items"]] == ["x"]
    # What is written, if only in part, is stored with them.
    body = {"metadata": {"labels": {"a": "b"}}}
    patched = await api.send("patch", WIDGETS, namespace="default", name="old", body=body)
    assert patched["spec"]["later"] == "x"


async def test_status_and_scale_of_custom_resources(api: Any) -> None:
    await define(api)
    made = await widget(api)
    made["status"] = {"replicas": 2, "selector": "a=b"}
    made["spec"]["size"] = 9
    where = {"namespace": "default", "name": "w"}
    after = await api.send("update", WIDGETS, **where, subresource="status", body=made)
    assert after["spec"]["size"] == 3
    assert after["metadata"]["generation"] == 1
    patch = {"spec": {"replicas": 5}}
    scale = await api.send("patch", WIDGETS, **where, subresource="scale", body=patch)
    assert scale["spec"] == {"replicas": 5}
    assert scale["status"] == {"replicas": 2, "selector": "a=b"}
    assert (await api.get(WIDGETS, "w"))["metadata"]["generation"] == 2


async def test_custom_resources_take_no_strategic_patch_and_need_a_version_to_update(
    api: Any,
) -> None:
    await define(api)
    made = await widget(api)
    where = {"namespace": "default", "name": "w"}
    with pytest.raises(errors.UnsupportedMediaTypeError):
        await api.send(
            "patch", WIDGETS, **where, body={}, content_type=requests.STRATEGIC_MERGE_PATCH
        )
    del made["metadata"]["resourceVersion"]
    with pytest.raises(errors.InvalidError, match="must be specified for an update"):
        await api.send("update", WIDGETS, **where, body=made)


async def test_versions_differ_in_api_version_only(api: Any) -> None:
    await define(api)
    await api.create(OLD_WIDGETS, "w", spec={"color": "blue"})
    new, old = await api.get(WIDGETS, "w"), await api.get(OLD_WIDGETS, "w")
    assert new["apiVersion"] == "example.com/v1"
    assert old == {**new, "apiVersion": "example.com/v1beta1"}
    listed = await api.send("list", OLD_WIDGETS, namespace="default")
    assert listed["items"] == [old]
    assert listed["kind"] == "WidgetList"


async def test_selectable_fields(api: Any) -> None:
    await define(api)
    await widget(api, "a")
    await widget(api, "b", color="blue")
    options = {"fieldSelector": "spec.color=blue"}
    listed = await api.send("list", WIDGETS, namespace="default", options=options)
    assert [each["metadata"]["name"] for each in listed["items"]] == ["b"]


async def until(read: Any, holds: Any) -> None:
    """Read again and again, with a deadline, until what is read (or its absence) will do."""
    async with asyncio.timeout(60):
        for _ in itertools.count():
            try:
                found = await read()
            except errors.NotFoundError:
                found = None
            if holds(found):
                return
            await asyncio.sleep(0.01)


def deleting(obj: Any) -> Any:
    return bool(obj["metadata"].get("deletionTimestamp"))


async def test_deleting_a_definition_deletes_its_objects(api: Any) -> None:
    await define(api)
    await widget(api, "a")
    held = await api.create(
        WIDGETS, "b", metadata={"finalizers": ["example.com/hold"]}, spec={"color": "red"}
    )
    going = await api.send("delete", CRDS, name="widgets.example.com")
    assert going["metadata"]["deletionTimestamp"]
    with pytest.raises(errors.MethodNotAllowedError, match="terminating"):
        await widget(api, "c")
    body = {"metadata": {"finalizers": None}}
    await until(lambda: api.get(WIDGETS, "b"), deleting)
    await api.send("patch", WIDGETS, namespace="default", name="b", body=body)
    await until(lambda: api.send("get", CRDS, name="widgets.example.com"), lambda obj: obj is None)
    with pytest.raises(errors.NotFoundError):
        await api.get(WIDGETS, "b")
    again = await define(api)
    assert again["metadata"]["uid"] != going["metadata"]["uid"]
    listed = await api.send("list", WIDGETS, namespace="default")
    assert listed["items"] == []
    assert held["metadata"]["name"] == "b"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"group": "other.com"}, "metadata.name"),
        ({"group": "nodots"}, "spec.group"),
        ({"scope": "Galaxy"}, "spec.scope"),
        ({"versions": []}, "spec.versions"),
        ({"names": {"plural": "Widgets!", "kind": "Widget"}}, "spec.names.plural"),
        (
            {
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {}},
                ]
            },
            "spec.versions[0].schema.openAPIV3Schema",
        ),
        (
            {
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "properties": {"spec": {"properties": {"x": {"type": "string"}}}},
                            }
                        },
                    },
                ]
            },
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].type",
        ),
    ],
)
async def test_wrong_definitions_name_the_field(api: Any, changes: Any, field: Any) -> None:
    with pytest.raises(errors.InvalidError) as caught:
        await define(api, **changes)
    assert field in {each["field"] for each in caught.value.details["causes"]}


async def test_names_that_are_taken_are_not_served(api: Any) -> None:
    await define(api)
    other = definition(names={"plural": "gadgets", "kind": "Widget"})
    other["metadata"]["name"] = "gadgets.example.com"
    made = await api.send("create", CRDS, body=other)
    conditions = {each["type"]: each["status"] for each in made["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "False", "Established": "False"}


async def test_definitions_are_served_again_after_a_restart(
    api: Any, server: Any, store: Any
) -> None:
    await define(api)
    await widget(api)
    await server.stop()
    user = User("admin", groups=("system:masters",))
    again = ApiServer(store, authenticator=Nobody(), authorizer=Nothing())
    request = Request("get", WIDGETS, namespace="default", name="w")
    assert (await again.transport(user).send(request))["spec"]["color"] == "red"


async def test_who_uses_a_deprecated_version_is_warned(api: Any, session: Any) -> None:
    made = definition()
    version = made["spec"]["versions"][0]
    for told, warning in (
        ({}, "example.com/v1 Widget is deprecated"),
        ({"deprecationWarning": "use another"}, "use another"),
    ):
        version |= {"deprecated": True, **told}
        await api.send("create", CRDS, body=made)
        async with session.get("/apis/example.com/v1/widgets") as response:
            assert response.headers["Warning"] == f'299 - "{warning}"'
        await api.send("delete", CRDS, name=made["metadata"]["name"])
