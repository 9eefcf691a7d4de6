"""ConfigMaps and Secrets: keys, sizes, and the promise not to change.

Source: ``ValidateConfigMap*`` and ``ValidateSecret*`` of ``pkg/apis/core/validation``.
"""

import base64
import binascii
from typing import Any

import orjson

from wherry.apiserver.strategies import causes
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects import names
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

MAX_BYTES = 1 << 20

_REQUIRED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - the name of a type
_ACCOUNT_NAME = "kubernetes.io/service-account.name"


def _default_secret(obj: Object) -> None:
    obj["type"] = obj.get("type") or "Opaque"
    texts = obj.pop("stringData", None)
    if texts:
        data = obj["data"] = obj.get("data") or {}
        for key, text in texts.items():
            data[key] = base64.b64encode(text.encode()).decode()


def _keys(path: str, entries: dict[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    for key in entries:
        found += causes.problems(f"{path}[{key}]", key, names.config_key(key))
    return found


def _promise(obj: Object, old: Object, fields: tuple[str, ...]) -> list[Cause]:
    """Return what breaks the promise of ``immutable: true``."""
    if not old.get("immutable"):
        return []
    why = "field is immutable when `immutable` is set"
    changed = [name for name in fields if (obj.get(name) or {}) != (old.get(name) or {})]
    if not obj.get("immutable"):
        changed.insert(0, "immutable")
    return [causes.forbidden(name, why) for name in changed]


def _validate_secret(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    data = obj.get("data") or {}
    found = _keys("data", data)
    size = 0
    for key, value in data.items():
        try:
            size += len(base64.b64decode(value or "", validate=True))
        except (binascii.Error, ValueError):
            found.append(causes.invalid(f"data[{key}]", "<hidden>", "must be base64"))
    if size > MAX_BYTES:
        found.append(causes.too_long("data", MAX_BYTES))
    found += _typed(obj.get("type", ""), obj, data)
    if old is not None:
        found += causes.unchanged("type", obj.get("type"), old.get("type"))
        found += _promise(obj, old, ("data",))
    return found


def _typed(kind: str, obj: Object, data: dict[str, Any]) -> list[Cause]:
    missing = [key for key in _REQUIRED_KEYS.get(kind, ()) if key not in data]
    found = [causes.required(f"data[{key}]") for key in missing]
    if kind == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        found += [causes.required("data[username]"), causes.required("data[password]")]
    if kind == _ACCOUNT_TOKEN:
        annotations = obj["metadata"].get("annotations") or {}
        if not annotations.get(_ACCOUNT_NAME):
            found.append(causes.required(f"metadata.annotations[{_ACCOUNT_NAME}]"))
    if kind.startswith("kubernetes.io/dockerc") and not found:
        found += _docker(kind, data)
    return found


def _docker(kind: str, data: dict[str, Any]) -> list[Cause]:
    key = _REQUIRED_KEYS[kind][0]
    try:
        orjson.loads(base64.b64decode(data[key]))
    except (ValueError, binascii.Error) as error:
        return [causes.invalid(f"data[{key}]", "<secret contents redacted>", str(error))]
    return []


def _secret_fields(obj: Object) -> dict[str, str]:
    return {"type": str(obj.get("type") or "")}


def _validate_config_map(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    found = _keys("data", data) + _keys("binaryData", binary)
    for key in data.keys() & binary.keys():
        text = "duplicate of key present in binaryData"
        found.append(causes.invalid(f"data[{key}]", key, text))
    size = sum(len(value.encode()) for value in data.values())
    size += sum(len(value) * 3 // 4 for value in binary.values())
    if size > MAX_BYTES:
        found.append(causes.too_long("", MAX_BYTES))
    return found + (_promise(obj, old, ("data", "binaryData")) if old else [])


STRATEGIES = {
    "configmaps": Rules(on_validate=_validate_config_map),
    "secrets": Rules(
        on_default=_default_secret, on_validate=_validate_secret, fields=_secret_fields
    ),
}
