"""A definition of two versions whose fields really differ, and a webhook that converts them."""

import copy
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from wherry.objects import kinds
from wherry.objects.resources import Resource

GROUP = "example.com"
SUB = ("scale", "status")
LINKS_V1 = Resource(GROUP, "v1", "links", "Link", subresources=SUB)
LINKS_V2 = Resource(GROUP, "v2", "links", "Link", subresources=SUB)
TEXT = {"type": "string"}
COUNT = {"type": "integer"}


def convert(obj: Any, api_version: str) -> Any:
    """Return a Link in a version: `hostPort` is `host` and `port` in v2, `size` is `replicas`."""
    made = copy.deepcopy(obj)
    made["apiVersion"] = api_version
    spec = made.get("spec") or {}
    if api_version == LINKS_V2.api_version:
        if "hostPort" in spec:
            spec["host"], _, spec["port"] = spec.pop("hostPort").partition(":")
        if "size" in spec:
            spec["replicas"] = spec.pop("size")
    else:
        if "host" in spec or "port" in spec:
            spec["hostPort"] = f"{spec.pop('host', '')}:{spec.pop('port', '')}"
        if "replicas" in spec:
            spec["size"] = spec.pop("replicas")
    return made


def definition(storage: str = "v1", **conversion: Any) -> Any:
    def version(name: str, replicas: str, selectable: str, /, **fields: Any) -> Any:
        properties = {
            "spec": {"type": "object", "properties": {**fields, "note": TEXT}},
            "status": {"type": "object", "properties": {"ready": COUNT, "replicas": COUNT}},
        }
        return {
            "name": name,
            "served": True,
            "storage": name == storage,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
            "subresources": {
                "status": {},
                "scale": {
                    "specReplicasPath": replicas,
                    "statusReplicasPath": ".status.replicas",
                },
            },
            "additionalPrinterColumns": [
                {"name": "Place", "type": "string", "jsonPath": selectable}
            ],
            "selectableFields": [{"jsonPath": selectable}],
        }

    spec = {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "links", "kind": "Link"},
        "versions": [
            version("v1", ".spec.size", ".spec.hostPort", hostPort=TEXT, size=COUNT),
            version("v2", ".spec.replicas", ".spec.host", host=TEXT, port=TEXT, replicas=COUNT),
        ],
    }
    if conversion:
        spec["conversion"] = conversion
    return {"metadata": {"name": f"links.{GROUP}"}, "spec": spec}


class Converting:
    """A webhook over TLS that converts, and that a test can have do something else."""

    def __init__(self, tls: tuple[ssl.SSLContext, str]) -> None:
        self._context, self.authority = tls
        self._runner = web.ServerRunner(web.Server(self._answer))
        self.port = 0
        self.asked: list[Any] = []
        self.on_review: Callable[[Any], Any] | None = None
        """Called with each answer before it is sent; may change it, or return another response."""

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    def conversion(self, **changes: Any) -> Any:
        config = {"url": f"https://127.0.0.1:{self.port}/convert", "caBundle": self.authority}
        return self.by_config(config, **changes)

    def by_config(self, config: Any, **changes: Any) -> Any:
        webhook = {"clientConfig": config, "conversionReviewVersions": ["v1"], **changes}
        return {"strategy": "Webhook", "webhook": webhook}

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        review = await request.json()
        asked = review["request"]
        self.asked.append(asked)
        version = asked["desiredAPIVersion"]
        answer = {
            "kind": "ConversionReview",
            "apiVersion": review["apiVersion"],
            "response": {
                "uid": asked["uid"],
                "result": {"status": "Success"},
                "convertedObjects": [convert(obj, version) for obj in asked["objects"]],
            },
        }
        if self.on_review is not None:
            other = self.on_review(answer)
            if hasattr(other, "__await__"):
                other = await other
            if other is not None:
                return web.Response(status=other)
        return web.json_response(answer)


@pytest.fixture
async def converting(webhook_tls: Any) -> AsyncIterator[Converting]:
    converting = Converting(webhook_tls)
    await converting.start()
    yield converting
    await converting.stop()


@pytest.fixture(scope="session")
def link_functions() -> Any:
    """`convert` and `definition`."""
    return convert, definition


@pytest.fixture
def link_definition() -> Any:
    return definition


@pytest.fixture
def convert_link() -> Any:
    return convert


@pytest.fixture
async def links(api: Any, converting: Converting) -> Any:
    """The two resources, their definition stored with the webhook."""
    body = definition(**converting.conversion())
    await api.send("create", kinds.CUSTOM_RESOURCE_DEFINITIONS, body=body)
    return LINKS_V1, LINKS_V2
