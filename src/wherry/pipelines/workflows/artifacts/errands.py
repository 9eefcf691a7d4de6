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
_WHOLE: Final = {
    "oauth2": ("clientIDSecret", "clientSecretSecret", "tokenURLSecret"),
    "clientCert": ("clientCertSecret", "clientKeySecret"),
}
"""What each way to say who asks needs all of."""
_GRANT, _SCOPE = "grant_type", "scope"
_PLAIN: Final = ("mode", "recurseMode", "optional", "subPath", "archive")
_LONGEST: Final = 100 * 1024


class Secrets:
    """The variables of a container that hold values of Secrets."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def variable(self, reference: Mapping[str, Any], where: str = "a Secret") -> str:
        """Return the name of the variable with what a reference leads to.

        Raises:
            StepError: it leads to nothing.
        """
        if not (reference.get("name") and reference.get("key")):
            raise StepError(f"{where} is {dict(reference)}; want name and key of a Secret")
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
        made |= {
            name: secrets.variable(told[name], f"{where}.git.{name}")
            for name in _GIT_SECRETS
            if told.get(name)
        }
        return {"git": made}
    if kind == "http":
        return {"uri": locations.uri(location, where), "http": _http(location, where, secrets)}
    return {"uri": locations.uri(location, where)}


def delivery(parameters: Sequence[Output], targets: Iterable[Target], secrets: Secrets) -> Object:
    """Return the errand of bringing outputs away.

    Raises:
        StepError: one cannot be brought to where it should be.
    """
    return {
        "parameters": {each.said["name"]: f"{STAGE}/{each.place}" for each in parameters},
        "outputs": [_output(each, secrets) for each in targets],
    }


def _output(target: Target, secrets: Secrets) -> Object:
    made: Object = {
        "name": target.name,
        "path": f"{STAGE}/{target.output.place}",
        "as": PurePosixPath(target.output.path).name,
        "uri": target.uri,
        "archive": target.archive,
        "level": target.level,
    }
    if locations.HTTP in target.location:
        made["http"] = _http(target.location, f"outputs.artifacts.{target.name}", secrets)
    return made


def needed(errands: Iterable[Object]) -> list[str]:
    """Return the URIs that the agent needs its packages for stores for."""
    return [each["uri"] for each in errands if "uri" in each and "http" not in each]


def _http(location: Mapping[str, Any], where: str, secrets: Secrets) -> Object:
    told = location["http"]
    headers = [[str(each["name"]), str(each["value"])] for each in told.get("headers") or ()]
    made: Object = {"headers": headers}
    auth: Mapping[str, Any] = told.get("auth") or {}
    known = ("basicAuth", *_WHOLE)
    unknown = [name for name, value in auth.items() if value and name not in known]
    if unknown:
        raise StepError(
            f"{where}.http.auth.{unknown[0]} is not known; there are {', '.join(known)}"
        )
    basic: Mapping[str, Any] = auth.get("basicAuth") or {}
    here = f"{where}.http.auth"
    for name in _BASIC:
        if basic.get(name):
            made[name] = secrets.variable(basic[name], f"{here}.basicAuth.{name}")
    # Clients of upstream write ways that say nothing as empty objects.
    for way, needed in _WHOLE.items():
        said: Mapping[str, Any] = auth.get(way) or {}
        if said:
            made[way] = {
                name: secrets.variable(said.get(name) or {}, f"{here}.{way}.{name}")
                for name in needed
            }
    if "oauth2" in made:
        made["oauth2"]["form"] = _form(auth["oauth2"], f"{here}.oauth2")
    return made


def _form(said: Mapping[str, Any], where: str) -> list[list[str]]:
    """Return what is sent for a token beside who asks.

    Raises:
        StepError: it is said twice.
    """
    scopes = [str(each) for each in said.get("scopes") or ()]
    more = [
        [str(each.get("key") or ""), str(each.get("value") or "")]
        for each in said.get("endpointParams") or ()
    ]
    named = {name for name, _ in more}
    if scopes and _SCOPE in named:
        raise StepError(f"{where}.endpointParams: {_SCOPE} is said by scopes")
    usual = [] if _GRANT in named else [[_GRANT, "client_credentials"]]
    return [*usual, *([[_SCOPE, " ".join(scopes)]] if scopes else []), *more]
