"""The environment variables of a container, in Kubernetes' order of precedence.

Services first, then `envFrom` in order, then `env` in order; `$(NAME)` in `env` sees everything
defined before it.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from wherry.kubelet import expansion, fields
from wherry.objects.requests import Object

Lookup = Callable[[str, str], Awaitable[Object | None]]
"""Returns the ConfigMap or Secret (``configMap``/``secret``, name) of the pod's namespace."""

_NAME = re.compile(r"[^=\x00-\x1f\x7f]+")


class ConfigError(Exception):
    """The container cannot be described: what the status says as CreateContainerConfigError."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where values come from.

    Attributes:
        pod: The pod.
        around: Addresses and node.
        lookup: Finds ConfigMaps and Secrets.
        services: The variables of services, already made.
    """

    pod: Object
    around: fields.Surroundings
    lookup: Lookup
    services: Mapping[str, str]


async def variables(container: Object, sources: Sources) -> dict[str, str]:
    """Return the variables that the API asks for.

    Raises:
        ConfigError: a ConfigMap, Secret or key that is not optional does not exist, or a field
            reference is wrong.
    """
    result = dict(sources.services)
    for source in container.get("envFrom") or []:
        result.update(await _from_source(source, sources))
    for variable in container.get("env") or []:
        name = str(variable["name"])
        if variable.get("valueFrom"):
            value = await _value_from(variable["valueFrom"], sources, str(container["name"]))
            if value is not None:
                result[name] = value
        else:
            result[name] = expansion.expand(str(variable.get("value") or ""), result)
    return result


async def _from_source(source: Object, sources: Sources) -> dict[str, str]:
    prefix = str(source.get("prefix") or "")
    for field, kind in (("configMapRef", "configMap"), ("secretRef", "secret")):
        reference = source.get(field)
        if not reference:
            continue
        found = await sources.lookup(kind, str(reference.get("name", "")))
        if found is None:
            if reference.get("optional"):
                return {}
            raise ConfigError(f'{kind.lower()} "{reference.get("name", "")}" not found')
        values = texts(kind, found)
        return {
            prefix + key: value for key, value in values.items() if _NAME.fullmatch(prefix + key)
        }
    return {}


async def _value_from(source: Object, sources: Sources, container: str) -> str | None:
    try:
        if source.get("fieldRef"):
            return fields.field(
                sources.pod, str(source["fieldRef"].get("fieldPath")), sources.around
            )
        if source.get("resourceFieldRef"):
            reference = source["resourceFieldRef"]
            return fields.resource(sources.pod, reference, sources.around, container=container)
    except (fields.FieldError, ValueError) as error:
        raise ConfigError(str(error)) from error
    for field, kind in (("configMapKeyRef", "configMap"), ("secretKeyRef", "secret")):
        if source.get(field):
            return await _key(kind, source[field], sources)
    raise ConfigError(f"env.valueFrom has no source that is supported: {', '.join(source)}")


async def _key(kind: str, reference: Object, sources: Sources) -> str | None:
    name, key = str(reference.get("name", "")), str(reference.get("key", ""))
    found = await sources.lookup(kind, name)
    if found is not None:
        values = texts(kind, found)
        if key in values:
            return values[key]
    if reference.get("optional"):
        return None
    if found is None:
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    where = "/".join([str(found["metadata"].get("namespace", "")), name])
    title = "ConfigMap" if kind == "configMap" else "Secret"
    raise ConfigError(f"couldn't find key {key} in {title} {where}")


def texts(kind: str, found: Object) -> dict[str, str]:
    """Return the data of a ConfigMap or Secret as text; bytes that are no text keep their place."""
    data = found.get("data") or {}
    if kind == "configMap":
        return {key: str(value) for key, value in data.items()}
    return {
        key: base64.b64decode(str(value)).decode("utf-8", "surrogateescape")
        for key, value in data.items()
    }


def service_variables(services: Iterable[Object]) -> dict[str, str]:
    """Return `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT` and Docker's link variables.

    Args:
        services: The Services of the pod's namespace; headless ones and those without address are left out.
    """
    result: dict[str, str] = {}
    for service in services:
        spec = service.get("spec") or {}
        address = str(spec.get("clusterIP") or "")
        ports = spec.get("ports") or []
        if address in {"", "None"} or not ports:
            continue
        result.update(_links(str(service["metadata"]["name"]), address, ports))
    return result


def _links(name: str, address: str, ports: list[Object]) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    first = ports[0]
    result = {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(first["port"]),
        f"{prefix}_PORT": _url(first, address),
    }
    for port in ports:
        if port.get("name"):
            label = str(port["name"]).upper().replace("-", "_")
            result[f"{prefix}_SERVICE_PORT_{label}"] = str(port["port"])
        protocol = str(port.get("protocol") or "TCP")
        stem = f"{prefix}_PORT_{port['port']}_{protocol}"
        result[stem] = _url(port, address)
        result[f"{stem}_PROTO"] = protocol.lower()
        result[f"{stem}_PORT"] = str(port["port"])
        result[f"{stem}_ADDR"] = address
    return result


def _url(port: Object, address: str) -> str:
    return f"{str(port.get('protocol') or 'TCP').lower()}://{address}:{port['port']}"


def api_variables(host: str, port: int) -> dict[str, str]:
    """Return what every container gets so that in-cluster clients find the API server."""
    service = {
        "metadata": {"name": "kubernetes"},
        "spec": {"clusterIP": host, "ports": [{"name": "https", "port": port, "protocol": "TCP"}]},
    }
    return service_variables([service])
