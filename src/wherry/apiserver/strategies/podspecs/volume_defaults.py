"""What Kubernetes fills into the volumes of a pod.

Source: ``pkg/apis/core/v1/defaults.go``.
"""

from typing import Any

from wherry.apiserver.strategies import amounts

FILE_MODE = 0o644
TOKEN_SECONDS = 3600

_WITH_MODE = ("secret", "configMap", "downwardAPI", "projected")
_PLAIN: dict[str, dict[str, Any]] = {
    "hostPath": {"type": ""},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {
        "cachingMode": "ReadWrite",
        "kind": "Shared",
        "fsType": "ext4",
        "readOnly": False,
    },
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def volume(one: dict[str, Any]) -> None:
    """Fill in a volume; one without a source becomes an ``emptyDir``."""
    source = next((key for key, value in one.items() if key != "name" and value is not None), None)
    if source is None:
        one["emptyDir"] = {}
    elif source in _WITH_MODE:
        _files(one[source], source)
    elif source == "emptyDir":
        if one["emptyDir"].get("sizeLimit") is not None:
            one["emptyDir"]["sizeLimit"] = amounts.canonical(one["emptyDir"]["sizeLimit"])
    elif source == "ephemeral":
        claim((one["ephemeral"].get("volumeClaimTemplate") or {}).get("spec"))
    else:
        plain_source(source, one[source])


def plain_source(name: str, source: dict[str, Any]) -> None:
    """Fill in a source whose defaults are constants; shared with persistent volumes."""
    for key, value in _PLAIN.get(name, {}).items():
        if source.get(key) is None:
            source[key] = value


def claim(spec: dict[str, Any] | None) -> None:
    """Fill in the spec of a claim."""
    if spec is not None:
        spec["volumeMode"] = spec.get("volumeMode") or "Filesystem"
        for part in (spec.get("resources") or {}).values():
            amounts.canonicalize(part)


def _files(source: dict[str, Any], kind: str) -> None:
    if source.get("defaultMode") is None:
        source["defaultMode"] = FILE_MODE
    if kind == "downwardAPI":
        _items(source)
    for projection in source.get("sources") or ():
        token = projection.get("serviceAccountToken")
        if token is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = TOKEN_SECONDS
        if projection.get("downwardAPI"):
            _items(projection["downwardAPI"])


def _items(source: dict[str, Any]) -> None:
    for item in source.get("items") or ():
        if item.get("fieldRef"):
            item["fieldRef"]["apiVersion"] = item["fieldRef"].get("apiVersion") or "v1"
        elif item.get("resourceFieldRef"):
            reference = item["resourceFieldRef"]
            reference["divisor"] = amounts.canonical(reference.get("divisor") or "0")
