"""The API server, as the pod's account may use it: with the standard library alone, so that it starts at once.

Source: the API's discovery documents (``/api/v1``, ``/apis``), which say what kinds are called.
"""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.client import connections
from wherry.pipelines.workflows.agent.failing import AgentError

_SECONDS: Final = 60
_JSON: Final = "application/json"
_LARGEST: Final = 64 * 1024 * 1024
_Object = Mapping[str, Any]


class CallError(AgentError):
    """The API server has refused a call, or does not answer.

    Attributes:
        status: The HTTP status; 0: no answer; -1: none either, but it may have been done.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    @property
    def passes(self) -> bool:
        """Whether the same call may succeed later."""
        return self.status in (0, 429) or self.status >= 500


@dataclass(frozen=True, slots=True)
class Kind:
    """What the API calls a kind.

    Attributes:
        prefix: Path of its group and version.
        plural: In paths.
        namespaced: Whether its objects are in namespaces.
    """

    prefix: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of an object, or of all in a namespace."""
        inside = f"/namespaces/{urllib.parse.quote(namespace, safe='')}" if self.namespaced else ""
        ending = f"/{urllib.parse.quote(name, safe='')}" if name else ""
        return f"{self.prefix}{inside}/{self.plural}{ending}"


class Cluster:
    """The API server."""

    def __init__(self) -> None:
        """Take the account of the pod.

        Raises:
            AgentError: it has none.
        """
        found = connections.in_cluster()
        if found is None:
            raise AgentError(
                "the pod has no token of a service account: is automountServiceAccountToken false?"
            )
        self._connection = found
        authority = found.certificate_authority
        self._tls = ssl.create_default_context(cadata=authority.decode() if authority else None)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: str = _JSON,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Return what the API server answers.

        Raises:
            CallError: it refuses, or does not answer.
        """
        asked = f"?{urllib.parse.urlencode(query)}" if query else ""
        request = urllib.request.Request(  # noqa: S310 - the server of the account
            f"{self._connection.server}{path}{asked}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Accept": _JSON, "Content-Type": content, **self._authorization()},
        )
        try:
            with urllib.request.urlopen(  # noqa: S310 - as above
                request, timeout=_SECONDS, context=self._tls
            ) as answer:
                return json.loads(answer.read(_LARGEST))
        except urllib.error.HTTPError as error:
            raise CallError(_message(error), error.code) from error
        except (OSError, ValueError) as error:
            refused = isinstance(getattr(error, "reason", error), ConnectionRefusedError)
            status = 0 if refused or method != "POST" else -1
            raise CallError(f"{method} {path}: {error}", status) from error

    def kind(self, api_version: str, kind: str) -> Kind:
        """Return what a kind is called in paths.

        Raises:
            AgentError: there is no such kind.
        """
        prefix = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        for each in self._resources(prefix):
            if each["kind"] == kind:
                return Kind(prefix, each["name"], each["namespaced"])
        raise AgentError(f"there is no kind {kind} in {api_version}")

    def named(self, word: str) -> Kind:
        """Return the kind that people call so: its plural, singular or short name, with a group or without.

        Raises:
            AgentError: there is none.
        """
        name, _, group = word.lower().partition(".")
        for prefix in self._prefixes(group):
            for each in self._resources(prefix):
                known = {each["name"], each.get("singularName"), each["kind"].lower()}
                if name in known | set(each.get("shortNames") or ()):
                    return Kind(prefix, each["name"], each["namespaced"])
        raise AgentError(f"there is no kind that is called {word!r}")

    def _prefixes(self, group: str) -> Iterator[str]:
        if not group:
            yield "/api/v1"
        for each in self.call("GET", "/apis")["groups"]:
            if not group or each["name"].startswith(group):
                yield f"/apis/{each['preferredVersion']['groupVersion']}"

    def _resources(self, prefix: str) -> list[_Object]:
        try:
            found = self.call("GET", prefix)["resources"]
        except CallError as error:
            if error.status == 404:
                return []
            raise
        return [each for each in found if "/" not in each["name"]]

    def _authorization(self) -> dict[str, str]:
        file = self._connection.token_file
        # It is renewed now and then.
        return {"Authorization": f"Bearer {file.read_text().strip()}"} if file else {}


def _message(error: urllib.error.HTTPError) -> str:
    try:
        told = json.loads(error.read(_LARGEST)).get("message")
    except (OSError, ValueError, AttributeError):
        told = ""
    return str(told or f"HTTP {error.code} {error.reason}")
