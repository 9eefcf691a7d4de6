"""What a proxied name means: ``[SCHEME:]NAME[:PORT]`` of a pod or a service, and which pod serves it.

Source: `ResourceLocation` of pods and services in kube-apiserver (defaults and messages).
"""

import random
from typing import NamedTuple

from wherry.apiserver.connections import options
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.store import Store

_SERVICE_LABEL = "kubernetes.io/service-name"


class Named(NamedTuple):
    """A name taken apart.

    Attributes:
        scheme: ``http`` where none is named.
        name: Of the object.
        port: Number or name; empty for the only one.
    """

    scheme: str
    name: str
    port: str


class Place(NamedTuple):
    """Where something listens."""

    host: str
    port: int


def parse(text: str) -> Named:
    """Take a name apart.

    Raises:
        BadRequestError: It has too many parts, or an unknown scheme.
    """
    parts = text.split(":")
    if len(parts) == 1:
        return Named("http", text, "")
    if len(parts) == 2:
        return Named("http", parts[0], parts[1])
    if len(parts) == 3 and parts[0] in {"", "http", "https"}:
        return Named(parts[0] or "http", parts[1], parts[2])
    raise errors.BadRequestError(
        f'"{text:.253}" cannot be proxied to: NAME, NAME:PORT or http(s):NAME:PORT is accepted'
    )


def pod_port(pod: Object, port: str) -> int:
    """Return the port of a pod that is meant: by number or name, else the first it names, else 80.

    Raises:
        BadRequestError: It has no port of that name.
    """
    found = [
        entry
        for container in pod["spec"].get("containers") or []
        for entry in container.get("ports") or []
    ]
    if not port:
        return int(found[0]["containerPort"]) if found else 80
    for entry in found:
        if entry.get("name") == port:
            return int(entry["containerPort"])
    return options.port(port)


def service_place(store: Store, service: Object, port: str) -> Place:
    """Return an endpoint of a service, any of those that are ready.

    Raises:
        ServiceUnavailableError: It has no such port, or nobody serves it.
    """
    name, namespace = metadata.name(service), metadata.namespace(service)
    port_name = _port_name(service, port)
    places = [
        Place(str(address), int(entry["port"]))
        for record in store.list(kinds.ENDPOINT_SLICES.key, namespace).records
        if record.labels.get(_SERVICE_LABEL) == name
        for value in [record.value()]
        for entry in value.get("ports") or []
        if (entry.get("name") or "") == port_name
        for endpoint in value.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint.get("addresses") or []
    ]
    if not places:
        raise errors.ServiceUnavailableError(f'no endpoints available for service "{name}"')
    return random.choice(places)  # noqa: S311 - spreads load, hides nothing


def _port_name(service: Object, port: str) -> str:
    ports = service["spec"].get("ports") or []
    for entry in ports:
        if port in {str(entry.get("port")), entry.get("name")}:
            return str(entry.get("name") or "")
    if not port and len(ports) == 1:
        return str(ports[0].get("name") or "")
    choices = ", ".join(f"{entry.get('name') or entry.get('port')}" for entry in ports)
    raise errors.ServiceUnavailableError(
        f'no service port "{port:.63}" found for service "{metadata.name(service)}"; '
        f"it has: {choices or 'none'}"
    )
