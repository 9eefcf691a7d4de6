"""Discovery: which resources are served, in the plain and the aggregated form.

Source: `k8s.io/api/apidiscovery/v2` and `meta/v1` (`APIGroupList`, `APIResourceList`).
"""

import base64
import hashlib
from typing import Any

from wherry.apiserver.resources import ResourceMap, Served
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


def core_versions(address: str) -> Object:
    """Return `/api`.

    Args:
        address: Host and port at which clients reach the server.
    """
    server = {"clientCIDR": "0.0.0.0/0", "serverAddress": address}
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [server]}


def group(name: str, versions: list[str]) -> Object:
    """Return `/apis/GROUP`."""
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": name,
        "versions": listed,
        "preferredVersion": listed[0],
    }


def groups(resources: ResourceMap) -> Object:
    """Return `/apis`."""
    listed = []
    for name, versions in resources.groups().items():
        if name:
            entry = group(name, versions)
            del entry["kind"], entry["apiVersion"]
            listed.append(entry)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group_version(resources: ResourceMap, name: str, version: str) -> Object | None:
    """Return `/api/v1` or `/apis/GROUP/VERSION`; None where nothing is served there."""
    rows = []
    for served in resources.all():
        if served.resource.group == name and served.resource.version == version:
            rows += _rows(served)
    if not rows:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{name}/{version}" if name else version,
        "resources": sorted(rows, key=lambda row: str(row["name"])),
    }


def _rows(served: Served) -> list[dict[str, Any]]:
    resource = served.resource
    row: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if "list" in resource.verbs:
        row["storageVersionHash"] = _storage_hash(served.storage)
    rows = [row]
    for name in resource.subresources:
        if (described := kinds.subresource(resource, name)) is None:
            continue
        below = {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": described.kind,
            "verbs": list(described.verbs),
        }
        if (described.group, described.version) != (resource.group, resource.version):
            below |= {"group": described.group, "version": described.version}
        rows.append(below)
    return rows


def _storage_hash(storage: Resource) -> str:
    """Return what changes when objects are stored in another version: Kubernetes' own hash of it."""
    text = f"{storage.group}/{storage.version}/{storage.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def aggregated(resources: ResourceMap, *, core: bool) -> Object:
    """Return `/api` or `/apis` in the aggregated form.

    Args:
        resources: What is served.
        core: Whether the core group is asked for, or all others.
    """
    by_version: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for served in resources.all():
        resource = served.resource
        by_version.setdefault((resource.group, resource.version), []).append(_aggregated(served))
    items = []
    for name, versions in resources.groups().items():
        if bool(name) is core:
            continue
        listed = [
            {"version": version, "resources": by_version[name, version], "freshness": "Current"}
            for version in versions
        ]
        metadata = {"name": name} if name else {}
        items.append({"metadata": metadata, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _kind(group_name: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group_name, "version": version, "kind": kind}


def _aggregated(served: Served) -> dict[str, Any]:
    resource = served.resource
    row: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    below = []
    for name in resource.subresources:
        if described := kinds.subresource(resource, name):
            kind = _kind(described.group, described.version, described.kind)
            verbs = list(described.verbs)
            below.append({"subresource": name, "responseKind": kind, "verbs": verbs})
    if below:
        row["subresources"] = below
    return row
