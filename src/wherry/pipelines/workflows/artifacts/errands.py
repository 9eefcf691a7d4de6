"""What the agent in a pod is told to bring, and how it gets at the Secrets for that. Pure.

Keys reach the agent as variables of its container that refer to Secrets; only their names are written here.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows.artifacts import locations
from wherry.pipelines.workflows.artifacts.plan import Input, Output
from wherry.pipelines.workflows.artifacts.targets import Target

STAGE: Final = "/wherry/stage"
"""Where an agent sees the volumes of a plan, each by its name."""
USER: Final = "user"
"""Below `STAGE`: the volumes of the user's, each at the path that the main container has it at."""
_GIT: Final = (
    "repo",
    "revision",
    "depth",
    "fetch",
    "insecureIgnoreHostKey",
    "disableSubmodules",
    "singleBranch",
    "branch",
    "insecureSkipTLS",
)
_GIT_SECRETS: Final = ("usernameSecret", "passwordSecret", "sshPrivateKeySecret")
_BASIC: Final = ("usernameSecret", "passwordSecret")
_PLAIN: Final = ("mode", "recurseMode", "optional", "subPath", "archive")
_LONGEST: Final = 100 * 1024


class Secrets:
    """The variables of a container that hold values of Secrets."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def variable(self, reference: Mapping[str, Any]) -> str:
        """Return the name of the variable with what a reference leads to."""
        key = (str(reference["name"]), str(reference["key"]))
        return self._known.setdefault(key, f"WHERRY_SECRET_{len(self._known)}")

    @property
    def variables(self) -> list[Object]:
        """The variables, for a container's ``env``."""
        return [
            {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
            for (name, key), variable in self._known.items()
        ]


def fetch(given: Input, secrets: Secrets) -> Object:
    """Return the errand of bringing an input.

    Raises:
        StepError: it cannot be brought.
    """
    place = given.place or f"{USER}{given.path}"
    errand: Object = {"to": f"{STAGE}/{place}", "name": given.where}
    kept: Mapping[str, Any] = given.made.metadata.get(locations.FIELD) or {} if given.made else {}
    said = {"archive": kept.get("archive"), **given.said}
    errand |= {name: said[name] for name in _PLAIN if said.get(name) is not None}
    return errand | source(given.location, given.where, secrets)


def source(location: Mapping[str, Any], where: str, secrets: Secrets) -> Object:
    """Return where something is to be had, as the agent is told it.

    Raises:
        StepError: it cannot be had.
    """
    kind = locations.kind(location, where)
    if kind == "raw":
        data = str(location["raw"].get("data") or "")
        if len(data.encode()) > _LONGEST:
            raise StepError(f"{where}.raw.data has more than {_LONGEST} bytes")
        return {"raw": data}
    if kind == "git":
        told = location["git"]
        made = {name: told[name] for name in _GIT if told.get(name) is not None}
        made |= {name: secrets.variable(told[name]) for name in _GIT_SECRETS if told.get(name)}
        return {"git": made}
    if kind == "http":
        return {"uri": locations.uri(location, where), "http": _http(location, where, secrets)}
    return {"uri": locations.uri(location, where)}


def delivery(parameters: Sequence[Output], targets: Iterable[Target]) -> Object:
    """Return the errand of bringing outputs away."""
    return {
        "parameters": {each.said["name"]: f"{STAGE}/{each.place}" for each in parameters},
        "outputs": [
            {
                "name": each.name,
                "path": f"{STAGE}/{each.output.place}",
                "as": PurePosixPath(each.output.path).name,
                "uri": each.uri,
                "archive": each.archive,
                "level": each.level,
            }
            for each in targets
        ],
    }


def needed(errands: Iterable[Object]) -> list[str]:
    """Return the URIs that the agent needs its packages for stores for."""
    return [each["uri"] for each in errands if "uri" in each and "http" not in each]


def _http(location: Mapping[str, Any], where: str, secrets: Secrets) -> Object:
    told = location["http"]
    headers = [[str(each["name"]), str(each["value"])] for each in told.get("headers") or ()]
    made: Object = {"headers": headers}
    auth: Mapping[str, Any] = told.get("auth") or {}
    unknown = [name for name, value in auth.items() if value and name != "basicAuth"]
    if unknown:
        raise StepError(f"{where}.http.auth.{unknown[0]} is not supported; there is basicAuth")
    basic: Mapping[str, Any] = auth.get("basicAuth") or {}
    made |= {name: secrets.variable(basic[name]) for name in _BASIC if basic.get(name)}
    return made
