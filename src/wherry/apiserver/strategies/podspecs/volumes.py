"""Rules of a pod's volumes: unique names, exactly one source, paths that stay inside.

Source: ``ValidateVolumes`` of ``pkg/apis/core/validation``.
"""

from collections.abc import Callable
from typing import Any

from wherry.apiserver.strategies import amounts, causes
from wherry.apiserver.strategies.podspecs import containers
from wherry.objects import names
from wherry.objects.errors import Cause

_HOST_PATH_TYPES = frozenset(
    {
        "",
        "DirectoryOrCreate",
        "Directory",
        "FileOrCreate",
        "File",
        "Socket",
        "CharDevice",
        "BlockDevice",
    }
)
_PULL_POLICIES = frozenset({"Always", "IfNotPresent", "Never"})
_PROJECTIONS = (
    "serviceAccountToken",
    "configMap",
    "secret",
    "downwardAPI",
    "clusterTrustBundle",
    "podCertificate",
)
_MAX_MODE = 0o777
_MODE_RANGE = "must be a number between 0 and 0777 (octal), both inclusive"

Source = dict[str, Any]


def check(path: str, volumes: list[dict[str, Any]]) -> list[Cause]:
    """Check all volumes of a pod."""
    found: list[Cause] = []
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        where = f"{path}[{index}]"
        name = volume.get("name", "")
        if not name:
            found.append(causes.required(f"{where}.name"))
        else:
            found += causes.problems(f"{where}.name", name, names.dns_label(name))
            if name in seen:
                found.append(causes.duplicate(f"{where}.name", name))
        seen.add(name)
        found += _source(where, volume)
    return found


def _source(path: str, volume: dict[str, Any]) -> list[Cause]:
    given = [key for key, value in volume.items() if key != "name" and value is not None]
    if not given:
        return [causes.required(path, "must specify a volume type")]
    if len(given) > 1:
        why = "may not specify more than 1 volume type"
        return [causes.forbidden(f"{path}.{name}", why) for name in given[1:]]
    rule = _RULES.get(given[0])
    return rule(f"{path}.{given[0]}", volume[given[0]]) if rule else []


def _empty_dir(path: str, source: Source) -> list[Cause]:
    if source.get("sizeLimit") is None:
        return []
    return amounts.check(path, {"sizeLimit": source["sizeLimit"]})


def check_host_path(path: str, source: Source) -> list[Cause]:
    """Check a ``hostPath`` source; persistent volumes have it too."""
    value = source.get("path", "")
    found = containers.check_no_climbing(f"{path}.path", value)
    if not value:
        found.append(causes.required(f"{path}.path"))
    return found + causes.choice(f"{path}.type", source.get("type"), _HOST_PATH_TYPES)


def _mode(path: str, mode: int | None) -> list[Cause]:
    if mode is None or 0 <= mode <= _MAX_MODE:
        return []
    return [causes.invalid(path, mode, _MODE_RANGE)]


def _secret(path: str, source: Source) -> list[Cause]:
    found = _mode(f"{path}.defaultMode", source.get("defaultMode"))
    if not source.get("secretName"):
        found.append(causes.required(f"{path}.secretName"))
    return found + _keys(f"{path}.items", source.get("items"))


def _config_map(path: str, source: Source) -> list[Cause]:
    found = _mode(f"{path}.defaultMode", source.get("defaultMode"))
    if not source.get("name"):
        found.append(causes.required(f"{path}.name"))
    return found + _keys(f"{path}.items", source.get("items"))


def _keys(path: str, items: list[dict[str, Any]] | None) -> list[Cause]:
    found: list[Cause] = []
    for index, item in enumerate(items or ()):
        where = f"{path}[{index}]"
        if not item.get("key"):
            found.append(causes.required(f"{where}.key"))
        found += _inner_path(f"{where}.path", item.get("path", ""))
        found += _mode(f"{where}.mode", item.get("mode"))
    return found


def _inner_path(path: str, value: str) -> list[Cause]:
    if not value:
        return [causes.required(path)]
    found = containers.check_local_path(path, value)
    if value.startswith("..") and not found:
        found.append(causes.invalid(path, value, "must not start with '..'"))
    return found


def _downward(path: str, source: Source) -> list[Cause]:
    found = _mode(f"{path}.defaultMode", source.get("defaultMode"))
    for index, item in enumerate(source.get("items") or ()):
        where = f"{path}.items[{index}]"
        found += _inner_path(f"{where}.path", item.get("path", ""))
        found += _mode(f"{where}.mode", item.get("mode"))
        field, amount = item.get("fieldRef"), item.get("resourceFieldRef")
        if field is not None and amount is not None:
            why = "fieldRef and resourceFieldRef can not be specified simultaneously"
            found.append(causes.invalid(where, "resource", why))
        elif field is not None:
            fields = containers.check_field(f"{where}.fieldRef.fieldPath", field["fieldPath"])
            whole = {"metadata.labels", "metadata.annotations"}
            found += [] if field["fieldPath"] in whole else fields
        elif amount is None:
            found.append(causes.required(where, "one of fieldRef and resourceFieldRef is required"))
    return found


def _projected(path: str, source: Source) -> list[Cause]:
    found = _mode(f"{path}.defaultMode", source.get("defaultMode"))
    for index, projection in enumerate(source.get("sources") or ()):
        where = f"{path}.sources[{index}]"
        given = [name for name in _PROJECTIONS if projection.get(name) is not None]
        if len(given) > 1:
            why = "may not specify more than 1 volume type per source"
            found += [causes.forbidden(f"{where}.{name}", why) for name in given[1:]]
        elif given:
            found += _projection(f"{where}.{given[0]}", given[0], projection[given[0]])
        else:
            accepted = ", ".join(_PROJECTIONS)
            found.append(causes.required(where, f"must specify one of {accepted}"))
    return found


def _projection(path: str, kind: str, source: Source) -> list[Cause]:
    if kind == "serviceAccountToken":
        found = _inner_path(f"{path}.path", source.get("path", ""))
        seconds = source.get("expirationSeconds", 3600)
        if seconds < 600:
            why = "may not specify a duration less than 10 minutes"
            found.append(causes.invalid(f"{path}.expirationSeconds", seconds, why))
        if seconds > 1 << 32:
            why = "may not specify a duration larger than 2^32 seconds"
            found.append(causes.invalid(f"{path}.expirationSeconds", seconds, why))
        return found
    if kind == "downwardAPI":
        return _downward(path, source)
    if kind not in {"configMap", "secret"}:
        return []
    found = [] if source.get("name") else [causes.required(f"{path}.name")]
    return found + _keys(f"{path}.items", source.get("items"))


def _claim(path: str, source: Source) -> list[Cause]:
    return [] if source.get("claimName") else [causes.required(f"{path}.claimName")]


def _ephemeral(path: str, source: Source) -> list[Cause]:
    template = source.get("volumeClaimTemplate")
    if not template:
        return [causes.required(f"{path}.volumeClaimTemplate")]
    return check_claim_spec(f"{path}.volumeClaimTemplate.spec", template.get("spec") or {})


_ACCESS_MODES = frozenset({"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"})
_VOLUME_MODES = frozenset({"Block", "Filesystem"})


def check_access_modes(path: str, modes: list[str] | None) -> list[Cause]:
    """Check the access modes of a claim or volume."""
    if not modes:
        return [causes.required(path, "at least 1 access mode is required")]
    found = [causes.unsupported(path, mode, _ACCESS_MODES) for mode in modes]
    found = [cause for cause, mode in zip(found, modes, strict=True) if mode not in _ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        why = "may not use ReadWriteOncePod with other access modes"
        found.append(causes.forbidden(path, why))
    return found


def check_volume_mode(path: str, mode: str | None) -> list[Cause]:
    """Check ``Filesystem`` or ``Block``."""
    return causes.choice(path, mode, _VOLUME_MODES)


def check_claim_spec(path: str, spec: dict[str, Any]) -> list[Cause]:
    """Check the spec of a claim, also where it is a template."""
    found = check_access_modes(f"{path}.accessModes", spec.get("accessModes"))
    requests = (spec.get("resources") or {}).get("requests") or {}
    where = f"{path}.resources"
    if "storage" not in requests:
        found.append(causes.required(f"{where}[storage]"))
    elif not amounts.check(where, requests) and amounts.is_zero(requests["storage"]):
        text = "must be greater than zero"
        found.append(causes.invalid(f"{where}[storage]", requests["storage"], text))
    found += amounts.check(f"{where}.requests", requests)
    class_name = spec.get("storageClassName")
    if class_name:
        problems = names.dns_subdomain(class_name)
        found += causes.problems(f"{path}.storageClassName", class_name, problems)
    return found + check_volume_mode(f"{path}.volumeMode", spec.get("volumeMode"))


def _image(path: str, source: Source) -> list[Cause]:
    found = [] if source.get("reference") else [causes.required(f"{path}.reference")]
    return found + causes.choice(f"{path}.pullPolicy", source.get("pullPolicy"), _PULL_POLICIES)


def _nfs(path: str, source: Source) -> list[Cause]:
    found = [causes.required(f"{path}.{key}") for key in ("server", "path") if not source.get(key)]
    value = source.get("path", "")
    if value and not value.startswith("/"):
        found.append(causes.invalid(f"{path}.path", value, "must be an absolute path"))
    return found


def _csi(path: str, source: Source) -> list[Cause]:
    return [] if source.get("driver") else [causes.required(f"{path}.driver")]


_RULES: dict[str, Callable[[str, Source], list[Cause]]] = {
    "emptyDir": _empty_dir,
    "hostPath": check_host_path,
    "secret": _secret,
    "configMap": _config_map,
    "downwardAPI": _downward,
    "projected": _projected,
    "persistentVolumeClaim": _claim,
    "ephemeral": _ephemeral,
    "image": _image,
    "nfs": _nfs,
    "csi": _csi,
}
