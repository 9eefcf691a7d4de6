"""Custom kinds that the server knows itself: defaults, rules and conversion as functions."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from wherry.apiserver.crds.hooks import Hooks
from wherry.apiserver.identity import Decision, User
from wherry.apiserver.inprocess import InProcessTransport
from wherry.apiserver.server import ApiServer, Extensions
from wherry.objects import errors, kinds
from wherry.objects.declared.kind import Reference, Related, Seen
from wherry.objects.errors import Cause
from wherry.objects.requests import MERGE_PATCH, Object, Request
from wherry.objects.resources import Resource
from wherry.store import Store

CRDS = kinds.CUSTOM_RESOURCE_DEFINITIONS
V1, V2 = (Resource("example.com", version, "links", "Link") for version in ("v1", "v2"))
IN_DEFAULT: Any = {"namespace": "default"}


class Anyone:
    async def authenticate(self, headers: Any, peer_certificate: Any) -> Any:
        return None

    def authorize(self, attributes: Any) -> Any:
        return Decision(allowed=True)


def default(obj: Object) -> Object:
    assert obj["apiVersion"] == "example.com/v2"
    spec = obj.get("spec") or {}
    return {**obj, "spec": {"port": "443", **spec}}


def validate(new: Object, old: Object | None) -> list[Cause]:
    host = new["spec"].get("host", "")
    if old is not None and old["spec"].get("host") != host:
        return [Cause("spec.host", f'Invalid value: "{host}": field is immutable')]
    return [] if host != "bad" else [Cause("spec.host", 'Invalid value: "bad": is bad')]


def warnings(obj: Object) -> list[str]:
    return ["port 80 is not encrypted"] if obj["spec"]["port"] == "80" else []


async def _started(store: Store, hooks: Hooks, definition: Any) -> InProcessTransport:
    extensions = Extensions(hooks={"links.example.com": hooks})
    anyone = Anyone()
    server = ApiServer(store, authenticator=anyone, authorizer=anyone, extensions=extensions)
    transport = server.transport(User("admin", groups=("system:masters",)))
    body: Any = {"metadata": {"name": "default"}}
    await transport.send(Request("create", kinds.NAMESPACES, body=body))
    await transport.send(Request("create", CRDS, body=definition))
    return transport


@pytest.fixture
async def transport(store: Store, link_definition: Any, convert_link: Any) -> InProcessTransport:
    hooks = Hooks(default=default, validate=validate, warnings=warnings, convert=convert_link)
    return await _started(store, hooks, link_definition("v2"))


async def _create(transport: Any, resource: Resource, **spec: Any) -> Any:
    body = {"metadata": {"name": "a"}, "spec": spec}
    return await transport.send(Request("create", resource, body=body, **IN_DEFAULT))


async def test_defaults_and_rules_see_the_stored_version(transport: Any, store: Store) -> None:
    with pytest.raises(errors.InvalidError) as caught:
        await _create(transport, V1, hostPort="bad:1")
    assert caught.value.details["causes"][0]["field"] == "spec.host"
    made = await _create(transport, V1, size=2)
    assert made["spec"] == {"hostPort": ":443", "size": 2}
    (record,) = store.list("links.example.com").records
    assert record.value()["spec"] == {"host": "", "port": "443", "replicas": 2}
    for resource, spec in ((V1, {"hostPort": "h:443"}), (V2, {"host": "h"})):
        body: Any = {"spec": spec}
        how: Any = {"body": body, "content_type": MERGE_PATCH, **IN_DEFAULT}
        with pytest.raises(errors.InvalidError, match="immutable"):
            await transport.send(Request("patch", resource, name="a", **how))


async def test_a_status_is_written_whatever_the_rules_say_of_the_spec(
    store: Store, link_definition: Any, convert_link: Any
) -> None:
    asked: list[Any] = []

    def refuse(new: Object, old: Object | None) -> list[Cause]:
        asked.append(new)
        return [Cause("spec", "Forbidden")] if old is not None else []

    hooks = Hooks(validate=refuse, convert=convert_link)
    transport = await _started(store, hooks, link_definition("v2"))
    await _create(transport, V1, hostPort="h:1")
    how: Any = {"body": {"status": {"ready": 1}}, "content_type": MERGE_PATCH, **IN_DEFAULT}
    written = await transport.send(Request("patch", V1, name="a", subresource="status", **how))
    assert written["status"] == {"ready": 1}
    assert [each["apiVersion"] for each in asked] == ["example.com/v2"]


async def test_objects_are_checked_against_those_that_they_speak_of(
    store: Store, link_definition: Any, convert_link: Any
) -> None:
    def target(new: Object) -> Reference:
        return Reference(kinds.CONFIG_MAPS, new["spec"]["host"] or "none", "default")

    def check(new: Object, old: Object | None, seen: Seen) -> list[Cause]:
        found = seen[target(new)]
        return [] if found else [Cause("spec.host", "there is no such ConfigMap")]

    related = Related(lambda new, _: [target(new)], check)
    hooks = Hooks(validate=validate, related=related, convert=convert_link)
    transport = await _started(store, hooks, link_definition("v2"))
    with pytest.raises(errors.InvalidError, match="no such ConfigMap"):
        await _create(transport, V1, hostPort="h:1")
    # What is wrong by itself is not looked up.
    with pytest.raises(errors.InvalidError, match="is bad"):
        await _create(transport, V1, hostPort="bad:1")
    config: Any = {"metadata": {"name": "h"}, "data": {}}
    await transport.send(Request("create", kinds.CONFIG_MAPS, body=config, **IN_DEFAULT))
    await _create(transport, V1, hostPort="h:1")


async def test_functions_come_before_a_webhook_of_the_definition(
    store: Store, link_definition: Any, convert_link: Any
) -> None:
    webhook = {
        "clientConfig": {"url": "https://127.0.0.1:1/never"},
        "conversionReviewVersions": ["v1"],
    }
    definition = link_definition("v2", strategy="Webhook", webhook=webhook)
    transport = await _started(store, Hooks(convert=convert_link), definition)
    await _create(transport, V1, hostPort="h:1")
    read = await transport.send(Request("get", V2, name="a", **IN_DEFAULT))
    assert read["spec"] == {"host": "h", "port": "1"}


TEXT = some.text(some.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters=":"))
SPECS = some.fixed_dictionaries(
    {},
    optional={
        "hostPort": some.builds("{}:{}".format, TEXT, TEXT),
        "size": some.integers(0, 2**31 - 1),
        "note": TEXT,
    },
)


@settings(max_examples=40, deadline=None)
@given(spec=SPECS, labels=some.dictionaries(some.sampled_from("ab"), some.sampled_from("cd")))
def test_there_and_back_loses_nothing(link_functions: Any, spec: Any, labels: Any) -> None:
    asyncio.run(_there_and_back(link_functions, spec, labels))


async def _there_and_back(functions: Any, spec: Any, labels: Any) -> None:
    convert, definition = functions
    async with Store.in_memory() as store:
        transport = await _started(store, Hooks(convert=convert), definition("v2"))
        body = {"metadata": {"name": "a", "labels": labels}, "spec": spec}
        made = await transport.send(Request("create", V1, body=body, **IN_DEFAULT))
        assert made["spec"] == spec
        other = await transport.send(Request("get", V2, name="a", **IN_DEFAULT))
        back = await transport.send(Request("update", V2, name="a", body=other, **IN_DEFAULT))
        assert back == other
        again = await transport.send(Request("get", V1, name="a", **IN_DEFAULT))
        assert again == made
