"""Names that people type, and the resources they mean."""

from typing import Any, ClassVar

import pytest

from wherry.client.resources import Resources
from wherry.objects import errors


def entry(plural: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "resource": plural,
        "responseKind": {"kind": kind},
        "scope": "Namespaced",
        "singularResource": kind.lower(),
        "verbs": ["get"],
        **more,
    }


def group(name: str, version: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "versions": [{"version": version, "resources": entries}]}


class Aggregated:
    def __init__(self) -> None:
        pods = entry("pods", "Pod", shortNames=["po"], categories=["all"])
        pods["subresources"] = [{"subresource": "status"}]
        self.core = [group("", "v1", pods, entry("nodes", "Node", scope="Cluster"))]
        self.groups = [group("metrics.k8s.io", "v1beta1", entry("pods", "PodMetrics"))]
        self.reads = 0

    async def read(self, path: str, *, accept: str = "") -> Any:
        assert "APIGroupDiscoveryList" in accept
        self.reads += 1
        items = self.core if path == "/api" else self.groups
        return {"kind": "APIGroupDiscoveryList", "items": items}


class Plain:
    documents: ClassVar[dict[str, Any]] = {
        "/api": {"versions": ["v1"]},
        "/apis": {
            "groups": [
                {
                    "name": "apps",
                    "versions": [{"version": "v1beta1"}, {"version": "v1"}],
                    "preferredVersion": {"version": "v1"},
                }
            ]
        },
        "/api/v1": {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]},
        "/apis/apps/v1": {
            "resources": [
                {"name": "deployments", "kind": "Deployment", "shortNames": ["deploy"]},
                {"name": "deployments/scale", "kind": "Scale"},
            ]
        },
        "/apis/apps/v1beta1": {"resources": [{"name": "deployments", "kind": "Deployment"}]},
    }

    async def read(self, path: str, *, accept: str = "") -> Any:
        return self.documents[path]


@pytest.mark.parametrize("name", ["pods", "pod", "po", "Pod", "PODS", "pods.v1."])
async def test_names_of_one_resource(name: str) -> None:
    found = await Resources(Aggregated()).find(name)
    assert (found.kind, found.namespaced, found.subresources) == ("Pod", True, ("status",))


async def test_groups_tell_namesakes_apart() -> None:
    resources = Resources(Aggregated())
    assert (await resources.find("pods.metrics.k8s.io")).kind == "PodMetrics"
    assert (await resources.find("podmetrics.v1beta1.metrics.k8s.io")).kind == "PodMetrics"
    assert [resource.kind for resource in await resources.category("all")] == ["Pod"]


async def test_discovery_is_read_once_and_again_for_the_unknown() -> None:
    reader = Aggregated()
    resources = Resources(reader)
    await resources.find("po")
    await resources.find("nodes")
    assert reader.reads == 2
    with pytest.raises(errors.NotFoundError, match='resource type "widgets"'):
        await resources.find("widgets")
    with pytest.raises(errors.NotFoundError):
        await resources.find("")
    reader.groups.append(group("example.com", "v1", entry("widgets", "Widget")))
    assert (await resources.find("widget")).api_version == "example.com/v1"
    assert (await resources.by_kind("example.com/v1", "Widget")).plural == "widgets"
    with pytest.raises(errors.NotFoundError, match="CustomResourceDefinition"):
        await resources.by_kind("example.com/v2", "Widget")


async def test_built_in_kinds_need_no_discovery() -> None:
    reader = Aggregated()
    assert (await Resources(reader).by_kind("apps/v1", "Deployment")).plural == "deployments"
    assert reader.reads == 0


async def test_servers_without_aggregation() -> None:
    resources = Resources(Plain())
    found = await resources.find("deploy")
    assert (found.api_version, found.subresources) == ("apps/v1", ("scale",))
    assert (await resources.find("deployments.v1beta1.apps")).version == "v1beta1"
    assert len(await resources.all()) == 3
