"""The objects that are written and read: ConfigMaps of about 1 KB."""

import json
from typing import Any

from harness import exchange
from harness.control_plane import NAMESPACE

PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
_DATA = {f"key-{number}": "x" * 80 for number in range(7)}


def config_map(name: str) -> dict[str, Any]:
    """Return an object that comes to about 1 KB as the server stores it."""
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "labels": {"app.kubernetes.io/name": "bench", "app.kubernetes.io/part-of": "wherry"},
        "annotations": {"example.com/note": "made by a benchmark"},
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": _DATA}


def create(name: str) -> bytes:
    """Return the request that creates one."""
    body = json.dumps(config_map(name)).encode()
    return exchange.request("POST", PATH, body, content_type="application/json")


def apply(name: str) -> bytes:
    """Return the request that applies one on the server's side."""
    return exchange.request(
        "PATCH",
        f"{PATH}/{name}?fieldManager=bench",
        json.dumps(config_map(name)).encode(),
        content_type="application/apply-patch+yaml",
    )


def names(prefix: str, count: int) -> list[str]:
    """Return names that sort by number."""
    return [f"{prefix}-{number:05d}" for number in range(count)]
