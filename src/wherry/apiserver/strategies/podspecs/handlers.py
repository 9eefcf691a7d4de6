"""Rules of probes and lifecycle hooks: exactly one way to act, and bounds of its numbers.

Source: ``validateProbe`` and ``validateHandler`` of ``pkg/apis/core/validation``.
"""

from typing import Any

from wherry.apiserver.strategies import causes
from wherry.objects import names
from wherry.objects.errors import Cause

_ACTIONS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_SCHEMES = frozenset({"HTTP", "HTTPS"})
_NOT_NEGATIVE = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)


def check_probes(path: str, container: dict[str, Any]) -> list[Cause]:
    """Check the three probes of a container."""
    found = []
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe:
            found += _probe(f"{path}.{name}", probe)
            if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
                where = f"{path}.{name}.successThreshold"
                found.append(causes.invalid(where, probe["successThreshold"], "must be 1"))
    return found


def check_lifecycle(path: str, lifecycle: dict[str, Any]) -> list[Cause]:
    """Check the hooks of a container."""
    found = []
    for name in ("postStart", "preStop"):
        if lifecycle.get(name) is not None:
            found += _handler(f"{path}.{name}", lifecycle[name])
    return found


def _probe(path: str, probe: dict[str, Any]) -> list[Cause]:
    found = _handler(path, probe)
    for name in _NOT_NEGATIVE:
        if probe.get(name, 0) < 0:
            found += causes.minimum(f"{path}.{name}", probe[name])
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        where = f"{path}.terminationGracePeriodSeconds"
        found.append(causes.invalid(where, seconds, "must be greater than 0"))
    return found


def _handler(path: str, handler: dict[str, Any]) -> list[Cause]:
    given = [name for name in _ACTIONS if handler.get(name) is not None]
    if not given:
        return [causes.required(path, "must specify a handler type")]
    if len(given) > 1:
        why = "may not specify more than 1 handler type"
        return [causes.forbidden(f"{path}.{name}", why) for name in given[1:]]
    name = given[0]
    action, where = handler[name], f"{path}.{name}"
    if name == "exec":
        return [] if action.get("command") else [causes.required(f"{where}.command")]
    if name == "sleep":
        return causes.minimum(f"{where}.seconds", action.get("seconds"), 1)
    found = check_port(f"{where}.port", action.get("port", 0))
    if name == "httpGet":
        found += causes.choice(f"{where}.scheme", action.get("scheme"), _SCHEMES)
    return found


def check_port(path: str, port: int | str) -> list[Cause]:
    """Check a port given by number or by name."""
    if isinstance(port, int):
        return causes.between(path, port, 1, 65535)
    return causes.problems(path, port, names.port_name(port))
