"""Server-side apply and managedFields as clients see them, over both ways in."""

import asyncio
from typing import Any

import pytest

from wherry.apiserver.identity import Attributes, Decision, User
from wherry.apiserver.inprocess import InProcessTransport
from wherry.objects import errors, kinds
from wherry.objects.requests import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, Object, Request

WIDGETS = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {
                "name": name,
                "served": True,
                "storage": name == "v1",
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "color": {"type": "string"},
                                    "size": {"type": "integer"},
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {"phase": {"type": "string"}},
                            },
                        },
                    }
                },
            }
            for name in ("v1", "v2")
        ],
    },
}


def deployment(name: str = "web", /, image: str = "nginx:1", **spec: Any) -> Object:
    container = {"name": "c", "image": image}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container]},
            },
            **spec,
        },
    }


def config_map(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


async def apply(api: Any, obj: Object, manager: str = "me", /, **options: Any) -> Object:
    resource: Any = options.pop("resource", None) or kinds.by_kind(obj["apiVersion"], obj["kind"])
    subresource = options.pop("subresource", None)
    force = options.pop("force", None)
    asked = {"fieldManager": manager, **options} | ({"force": force} if force else {})
    found = await api.send(
        "patch",
        resource,
        namespace="default" if resource.namespaced else None,
        name=obj["metadata"]["name"],
        subresource=subresource,
        body=obj,
        content_type=APPLY_PATCH,
        options={key: value for key, value in asked.items() if value},
    )
    return dict(found)


def entries(obj: Object) -> dict[tuple[str, str, str], Any]:
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", ())
    }


async def test_apply_creates_and_then_changes(api: Any) -> None:
    made = await apply(api, deployment(replicas=2))
    assert made["metadata"]["uid"]
    assert made["metadata"]["generation"] == 1
    assert entries(made)["me", "Apply", ""] == {
        "f:metadata": {"f:labels": {"f:app": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}}}
                },
            },
        },
    }
    same = await apply(api, deployment(replicas=2))
    assert same == made
    more = await apply(api, deployment(replicas=3))
    assert more["spec"]["replicas"] == 3
    assert more["metadata"]["generation"] == 2
    # What is applied no more goes, and the kind's default takes its place.
    less = await apply(api, deployment())
    assert less["spec"]["replicas"] == 1


async def test_a_conflict_names_every_field_and_its_owner(api: Any) -> None:
    await api.send(
        "create",
        kinds.DEPLOYMENTS,
        namespace="default",
        body=deployment(replicas=2),
        options={"fieldManager": "kubectl"},
    )
    with pytest.raises(errors.ConflictError) as caught:
        await apply(api, deployment(replicas=3))
    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas'
    )
    assert caught.value.details == {
        "causes": [
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "kubectl" using apps/v1',
                "field": ".spec.replicas",
            }
        ]
    }
    with pytest.raises(errors.ConflictError) as caught:
        await apply(api, deployment(image="nginx:2", replicas=3))
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "kubectl" using apps/v1:\n'
        '- .spec.replicas\n- .spec.template.spec.containers[name="c"].image'
    )
    taken = await apply(api, deployment(replicas=3), force="true")
    assert "f:replicas" in entries(taken)["me", "Apply", ""]["f:spec"]
    assert "f:replicas" not in entries(taken)["kubectl", "Update", ""]["f:spec"]


async def test_appliers_share_an_object(api: Any) -> None:
    await apply(api, config_map(a="1", b="2"), "one")
    await apply(api, config_map(c="3", b="2"), "two")
    nothing = {key: value for key, value in config_map().items() if key != "data"}
    left = await apply(api, nothing, "one")
    assert left["data"] == {"b": "2", "c": "3"}
    assert list(entries(left)) == [("two", "Apply", "")]


async def test_every_write_has_its_manager(api: Any) -> None:
    made = await api.send(
        "create",
        kinds.CONFIG_MAPS,
        namespace="default",
        body=config_map(a="1"),
        options={"fieldManager": "one"},
    )
    assert entries(made) == {
        ("one", "Update", ""): {"f:data": {".": {}, "f:a": {}}},
    }
    made["data"] |= {"a": "2", "b": "1"}
    changed = await api.send(
        "update",
        kinds.CONFIG_MAPS,
        namespace="default",
        name="c",
        body=made,
        options={"fieldManager": "two"},
    )
    # The map itself stays with who has made it.
    assert entries(changed) == {
        ("one", "Update", ""): {"f:data": {}},
        ("two", "Update", ""): {"f:data": {"f:a": {}, "f:b": {}}},
    }
    patched = await api.send(
        "patch",
        kinds.CONFIG_MAPS,
        namespace="default",
        name="c",
        body={"data": {"a": None, "z": "9"}},
        content_type=MERGE_PATCH,
        options={"fieldManager": "three"},
    )
    assert entries(patched)["three", "Update", ""] == {"f:data": {"f:z": {}}}
    assert entries(patched)["two", "Update", ""] == {"f:data": {"f:b": {}}}
    # A write that changes nothing is none.
    again = await api.send("update", kinds.CONFIG_MAPS, namespace="default", name="c", body=patched)
    assert again == patched


async def test_managed_fields_are_kept_reset_and_checked(api: Any) -> None:
    await apply(api, config_map(a="1"), "one")
    bare = config_map(a="1", b="2")
    kept = await api.send("update", kinds.CONFIG_MAPS, namespace="default", name="c", body=bare)
    assert ("one", "Apply", "") in entries(kept)
    wrong = kept | {"metadata": kept["metadata"] | {"managedFields": [{"operation": "Eat"}]}}
    still = await api.send("update", kinds.CONFIG_MAPS, namespace="default", name="c", body=wrong)
    assert entries(still) == entries(kept)
    resets: list[list[Object]] = [[{}], []]
    for value in resets:
        reset = await api.send(
            "patch",
            kinds.CONFIG_MAPS,
            namespace="default",
            name="c",
            body=[{"op": "replace", "path": "/metadata/managedFields", "value": value}],
            content_type=JSON_PATCH,
        )
        assert "managedFields" not in reset["metadata"]
        back = await apply(api, config_map(a="1"), "one")
        assert set(entries(back)) == {
            ("one", "Apply", ""),
            ("before-first-apply", "Update", ""),
        }


async def test_status_has_owners_of_its_own(api: Any) -> None:
    await apply(api, deployment(replicas=2))
    status = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 7},
        "status": {"replicas": 1},
    }
    found = await apply(api, status, "controller", subresource="status")
    assert found["spec"]["replicas"] == 2
    assert found["status"]["replicas"] == 1
    assert entries(found)["controller", "Apply", "status"] == {"f:status": {"f:replicas": {}}}
    # The object's own writers cannot reach the status.
    whole = await apply(api, deployment(replicas=2) | {"status": {"replicas": 9}})
    assert whole["status"]["replicas"] == 1
    assert "f:status" not in entries(whole)["me", "Apply", ""]


async def test_scale_owns_the_replicas(api: Any) -> None:
    await apply(api, deployment(replicas=2))
    place: dict[str, Any] = {"namespace": "default", "name": "web", "subresource": "scale"}
    await api.send(
        "update",
        kinds.DEPLOYMENTS,
        body={"spec": {"replicas": 4}},
        options={"fieldManager": "scaler"},
        **place,
    )
    found = await api.get(kinds.DEPLOYMENTS, "web")
    assert entries(found)["scaler", "Update", "scale"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in entries(found)["me", "Apply", ""]["f:spec"]
    with pytest.raises(
        errors.ConflictError, match='"scaler" with subresource "scale" using apps/v1'
    ):
        await apply(api, deployment(replicas=2))
    scale = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "web"},
        "spec": {"replicas": 5},
    }
    with pytest.raises(errors.ConflictError):
        await apply(api, scale, "hpa", resource=kinds.DEPLOYMENTS, subresource="scale")
    done = await apply(
        api, scale, "hpa", resource=kinds.DEPLOYMENTS, subresource="scale", force="true"
    )
    assert done["spec"]["replicas"] == 5


async def test_custom_resources_are_applied_in_any_version(api: Any) -> None:
    await api.send("create", kinds.CUSTOM_RESOURCE_DEFINITIONS, body=WIDGETS)
    one = api.server.resources.by_path("example.com", "v1", "widgets").resource
    two = api.server.resources.by_path("example.com", "v2", "widgets").resource
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    made = await apply(api, widget | {"spec": {"color": "red", "size": 1}}, resource=one)
    assert entries(made)["me", "Apply", ""] == {"f:spec": {"f:color": {}, "f:size": {}}}
    newer = widget | {"apiVersion": "example.com/v2"}
    with pytest.raises(errors.ConflictError, match=r'conflict with "me": \.spec\.size'):
        await apply(api, newer | {"spec": {"size": 2}}, "you", resource=two)
    moved = await apply(api, newer | {"spec": {"size": 1}}, resource=two)
    assert moved["spec"] == {"size": 1}
    assert [entry["apiVersion"] for entry in moved["metadata"]["managedFields"]] == [
        "example.com/v2"
    ]
    with pytest.raises(
        errors.BadRequestError, match=r"\.spec\.taste: field not declared in schema"
    ):
        await apply(api, newer | {"spec": {"taste": "sweet"}}, resource=two)


@pytest.mark.parametrize(
    ("changes", "options", "code", "message"),
    [
        (
            {},
            {"fieldManager": ""},
            422,
            "fieldManager: Required value: is required for apply patch",
        ),
        ({}, {"fieldManager": "x" * 129}, 422, "Too long: may not be more than 128 bytes"),
        ({}, {"fieldManager": "a\x07"}, 422, "invalid character U+0007 (at position 1)"),
        ({"apiVersion": "v2"}, {}, 400, "invalid object type: /v2, Kind=ConfigMap"),
        ({"kind": None}, {}, 400, "invalid object type: /v1, Kind="),
        ({"datum": {}}, {}, 400, ".datum: field not declared in schema"),
        ({"metadata": {"name": "d"}}, {}, 400, "does not match the name on the URL"),
        (
            {"metadata": {"name": "c", "managedFields": [{}]}},
            {},
            400,
            "metadata.managedFields must be nil",
        ),
        ({"metadata": {"name": "c", "resourceVersion": "1"}}, {}, 400, "should not be set"),
        ({"metadata": {"name": "c", "uid": "x"}}, {}, 409, "uid mismatch"),
    ],
)
async def test_what_cannot_be_applied_says_why(
    api: Any, changes: Any, options: Any, code: int, message: str
) -> None:
    with pytest.raises(errors.ApiError) as caught:
        await api.send(
            "patch",
            kinds.CONFIG_MAPS,
            namespace="default",
            name="c",
            body=config_map(a="1") | changes,
            content_type=APPLY_PATCH,
            options={"fieldManager": "me", **options},
        )
    assert (caught.value.code, message in caught.value.message) == (code, True), caught.value


async def test_force_is_for_apply_only(api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "c")
    with pytest.raises(errors.InvalidError, match="may not be specified for non-apply patch"):
        await api.send(
            "patch",
            kinds.CONFIG_MAPS,
            namespace="default",
            name="c",
            body={},
            options={"force": "true"},
        )


async def test_a_dry_run_stores_nothing(api: Any) -> None:
    shown = await apply(api, config_map(a="1"), dryRun="All")
    assert shown["data"] == {"a": "1"}
    with pytest.raises(errors.NotFoundError):
        await api.get(kinds.CONFIG_MAPS, "c")
    made = await apply(api, config_map(a="1"))
    shown = await apply(api, config_map(a="2"), dryRun="All")
    assert shown["data"] == {"a": "2"}
    assert await api.get(kinds.CONFIG_MAPS, "c") == made


async def test_the_resource_version_is_a_precondition(api: Any) -> None:
    made = await apply(api, config_map(a="1"))
    stale = config_map(a="2")
    stale["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
    await apply(api, config_map(a="3"))
    with pytest.raises(errors.ConflictError, match="object has been modified"):
        await apply(api, stale)


async def test_a_subresource_creates_nothing(api: Any) -> None:
    with pytest.raises(errors.NotFoundError):
        await apply(api, deployment(), subresource="status")


async def test_appliers_at_the_same_time_lose_nothing(api: Any) -> None:
    names = [f"m{number}" for number in range(8)]
    await asyncio.gather(*(apply(api, config_map(**{name: "1"}), name) for name in names))
    found = await api.get(kinds.CONFIG_MAPS, "c")
    assert found["data"] == dict.fromkeys(names, "1")
    assert {manager for manager, _, _ in entries(found)} == set(names)


async def test_the_client_names_the_manager_that_nobody_named(session: Any) -> None:
    async with session.post(
        "/api/v1/namespaces/default/configmaps",
        json=config_map(a="1"),
        headers={"User-Agent": "robot/v1.2 (linux)"},
    ) as response:
        made = await response.json()
    assert list(entries(made)) == [("robot", "Update", "")]


async def test_yaml_is_applied_and_cbor_is_refused(session: Any) -> None:
    path = "/api/v1/namespaces/default/configmaps/c?fieldManager=me"
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: b\n"
    headers = {"Content-Type": "application/apply-patch+yaml"}
    async with session.patch(path, data=text, headers=headers) as response:
        assert response.status == 201
        assert (await response.json())["data"] == {"a": "b"}
    async with session.patch(path, data=text, headers=headers) as response:
        assert response.status == 200
    headers = {"Content-Type": "application/apply-patch+cbor"}
    async with session.patch(path, data=b"\xa0", headers=headers) as response:
        assert response.status == 415


ADMIN = User("admin", groups=("system:masters", "system:authenticated"))


class NoCreation:
    """Everything is allowed but creating."""

    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(attributes.verb != "create", "")


async def test_who_may_not_create_cannot_create_by_apply(store: Any, server: Any) -> None:
    user = User("patcher", groups=("system:authenticated",))
    way = InProcessTransport(server.registry, user, NoCreation())
    wanted = Request(
        "patch",
        kinds.CONFIG_MAPS,
        namespace="default",
        name="c",
        body=config_map(a="1"),
        content_type=APPLY_PATCH,
        options={"fieldManager": "me"},
    )
    with pytest.raises(errors.ForbiddenError, match='cannot create resource "configmaps"'):
        await way.send(wanted)
    admin = Request("create", kinds.CONFIG_MAPS, namespace="default", body=config_map(b="1"))
    await server.transport(ADMIN).send(admin)
    assert (await way.send(wanted))["data"] == {"a": "1", "b": "1"}
