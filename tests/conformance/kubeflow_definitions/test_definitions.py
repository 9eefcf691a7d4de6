"""The CustomResourceDefinitions of Kubeflow and of what it stands on are taken as they are.

They are read from a checkout of kubeflow/manifests that WHERRY_MANIFESTS names; nothing of it is kept.
"""

import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.apiserver.identity import Attributes, Decision, User
from wherry.apiserver.server import ApiServer
from wherry.client.client import Client
from wherry.objects import conditions, kinds
from wherry.objects.requests import Object
from wherry.store import Store

NAMES = Path(__file__).parent / "names"
CHECKOUT = os.environ.get("WHERRY_MANIFESTS", "")
ADMIN = User("admin", groups=("system:masters", "system:authenticated"))


class Nobody:
    async def authenticate(self, headers: Any, peer_certificate: Any) -> User | None:
        return None


class Everything:
    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(allowed=True)


def _cases() -> Iterator[Any]:
    for path in sorted(NAMES.glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            mark = pytest.mark.conformance(
                "kubeflow-definitions", group=path.stem, name=row["name"]
            )
            yield pytest.param(row["name"], marks=mark, id=row["name"])


@functools.cache
def _definitions() -> dict[str, Object]:
    found: dict[str, Object] = {}
    for path in sorted(Path(CHECKOUT).rglob("*.yaml")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if "kind: CustomResourceDefinition" not in text or "experimental" in path.parts:
            continue
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader):
            if _is_whole(document):
                found.setdefault(document["metadata"]["name"], document)
    return found


def _is_whole(document: Any) -> bool:
    """Return whether a document is a definition rather than a patch of one."""
    if not isinstance(document, dict) or document.get("kind") != "CustomResourceDefinition":
        return False
    versions = (document.get("spec") or {}).get("versions") or ()
    return any("schema" in version for version in versions)


@pytest.mark.skipif(not CHECKOUT, reason="WHERRY_MANIFESTS names no checkout")
@pytest.mark.parametrize("name", list(_cases()))
async def test_the_definition_is_taken_and_served(name):
    async with Store.in_memory() as store:
        server = ApiServer(store, authenticator=Nobody(), authorizer=Everything())
        client = Client(server.transport(ADMIN))
        definition = _definitions()[name]
        made = await client.create(kinds.CUSTOM_RESOURCE_DEFINITIONS, definition)
        assert conditions.is_true(made, "Established")
        assert not conditions.is_true(made, "NonStructuralSchema")
        mine = [each for each in server.resources.all() if each.resource.key == name]
        assert mine
        for served in mine:
            served.schema()


@pytest.mark.skipif(not CHECKOUT, reason="WHERRY_MANIFESTS names no checkout")
def test_no_definition_is_left_out():
    listed = {case.values[0] for case in _cases()}
    assert sorted(_definitions().keys() - listed) == []
