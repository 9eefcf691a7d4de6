"""What is served besides resources: health, version, discovery, OpenAPI, metrics, documents.

Answers to discovery are made once for each state of the resource map.
"""

import hashlib
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from wherry.apiserver import discovery
from wherry.apiserver.http.metrics import Metrics
from wherry.apiserver.openapi_documents import Documents
from wherry.apiserver.resources import ResourceMap
from wherry.objects import errors

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_OPENAPI_V2_PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_IMMUTABLE: Final = {
    "Cache-Control": "public, immutable",
    "Expires": "Fri, 31 Dec 9999 23:59:59 GMT",
}
MAJOR, MINOR = "1", "36"
GIT_VERSION: Final = "v1.36.0+wherry"

Check = Callable[[], str]
"""Returns what is wrong, empty while nothing is."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer of the site.

    Attributes:
        body: The bytes.
        content_type: Their type.
        headers: More headers.
        code: HTTP status.
    """

    body: bytes
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    code: int = 200


class Site:
    """The pages that are no resources.

    Args:
        resources: What is served.
        metrics: For `/metrics`.
        checks: Health by name; all must be well for `/readyz`.
        documents: Further JSON documents by path, e.g. ``/openid/v1/jwks``.
    """

    def __init__(
        self,
        resources: ResourceMap,
        metrics: Metrics,
        checks: Mapping[str, Check],
        documents: Mapping[str, Callable[[], bytes]],
    ) -> None:
        self.address = "127.0.0.1:6443"
        """Where clients reach the server; set when it listens."""
        self._resources = resources
        self._metrics = metrics
        self._checks = checks
        self._openapi = Documents(resources, GIT_VERSION)
        self._kept: dict[tuple[str, bool], bytes] = {}
        self._generation = -1
        self._pages: dict[str, Callable[[Mapping[str, str]], Page]] = {
            "/version": lambda _: _json(version()),
            "/metrics": lambda _: Page(self._metrics.text().encode(), "text/plain; version=0.0.4"),
            "/openapi/v2": _openapi_v2,
            "/openapi/v3": lambda headers: _tagged(orjson.dumps(self._openapi.index()), headers),
            "/healthz": lambda _: self._health("healthz"),
            "/livez": lambda _: Page(b"ok", _TEXT),
            "/readyz": lambda _: self._health("readyz"),
            "": lambda _: _json({"paths": self._paths()}),
        }
        self._documents = documents

    def page(self, parts: list[str], headers: Mapping[str, str], query: Mapping[str, str]) -> Page:
        """Return a page.

        Args:
            parts: The path's parts.
            headers: Of the request.
            query: Of the request.

        Raises:
            NotFoundError: There is none.
        """
        path = "".join(f"/{part}" for part in parts)
        if document := self._documents.get(path):
            return Page(document())
        if page := self._pages.get(path):
            answer = page(headers)
            return self._verbose(path, answer) if "verbose" in query else answer
        if parts[0] in {"healthz", "livez", "readyz"} and len(parts) == 2:
            return self._check(parts[1])
        if parts[0] in {"api", "apis"}:
            return self._discovery(parts, headers)
        if parts[:2] == ["openapi", "v3"]:
            return self._document(parts[2:], headers, query.get("hash", ""))
        raise not_found()

    def _discovery(self, parts: list[str], headers: Mapping[str, str]) -> Page:
        wants = len(parts) == 1 and "as=APIGroupDiscoveryList" in headers.get("Accept", "")
        wants = wants and "v=v2;" in headers.get("Accept", "").replace(" ", "") + ";"
        if self._generation != self._resources.generation:
            self._kept.clear()
            self._generation = self._resources.generation
        place = ("/".join(parts), wants)
        body = self._kept.get(place)
        if body is None:
            body = self._kept[place] = orjson.dumps(self._discovered(parts, aggregated=wants))
        if wants:
            return _tagged(body, headers, _AGGREGATED)
        return Page(body, _JSON, {"Vary": "Accept"})

    def _discovered(self, parts: list[str], *, aggregated: bool) -> object:
        core = parts[0] == "api"
        if aggregated:
            return discovery.aggregated(self._resources, core=core)
        if len(parts) == 1:
            return (
                discovery.core_versions(self.address) if core else discovery.groups(self._resources)
            )
        group, version = ("", parts[1]) if core else (parts[1], "".join(parts[2:]))
        if version and len(parts) == (2 if core else 3):
            found = discovery.group_version(self._resources, group, version)
        else:
            versions = self._resources.groups().get(group) if len(parts) == 2 else None
            found = discovery.group(group, versions) if versions else None
        if found is None:
            raise not_found()
        return found

    def _document(self, parts: list[str], headers: Mapping[str, str], known: str) -> Page:
        if len(parts) == 2 and parts[0] == "api":
            group, version = "", parts[1]
        elif len(parts) == 3 and parts[0] == "apis":
            group, version = parts[1], parts[2]
        else:
            raise not_found()
        body = self._openapi.document(group, version)
        if body is None:
            raise not_found()
        current = self._openapi.hash(group, version)
        if known and known != current:
            place = {"Location": f"/openapi/v3/{'/'.join(parts)}?hash={current}"}
            return Page(b"", _JSON, place, 301)
        page = _tagged(body, headers, tag=current)
        # Under its hash a document never changes: clients need not ask for it again.
        return replace(page, headers={**page.headers, **_IMMUTABLE}) if known else page

    def _health(self, name: str) -> Page:
        failed = {check for check, ask in self._checks.items() if ask()}
        if not failed:
            return Page(b"ok", _TEXT)
        return Page(self._report(name).encode(), _TEXT, code=500)

    def _check(self, name: str) -> Page:
        if name == "ping":
            return Page(b"ok", _TEXT)
        ask = self._checks.get(name)
        if ask is None:
            raise not_found()
        problem = ask()
        return Page((problem or "ok").encode(), _TEXT, code=500 if problem else 200)

    def _report(self, name: str) -> str:
        # A server that is not ready is alive: to end it would help nobody.
        asked = {} if name == "livez" else self._checks
        problems = {check: ask() for check, ask in asked.items()}
        lines = ["[+]ping ok"]
        for check, problem in problems.items():
            lines.append(f"[-]{check} failed: {problem}" if problem else f"[+]{check} ok")
        verdict = "failed" if any(problems.values()) else "passed"
        return "\n".join([*lines, f"{name} check {verdict}"]) + "\n"

    def _verbose(self, path: str, page: Page) -> Page:
        if path not in {"/healthz", "/livez", "/readyz"}:
            return page
        return Page(self._report(path[1:]).encode(), _TEXT, code=page.code)

    def _paths(self) -> list[str]:
        paths = {path for path in (*self._pages, *self._documents) if path}
        paths |= {"/api", "/apis"}
        for group, versions in self._resources.groups().items():
            base = f"/apis/{group}" if group else "/api"
            paths |= {base, *(f"{base}/{version}" for version in versions)}
        return sorted(paths)


def version() -> dict[str, str]:
    """Return `/version`."""
    return {
        "major": MAJOR,
        "minor": MINOR,
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }


def not_found() -> errors.NotFoundError:
    """Return the answer to a path that nothing stands behind."""
    return errors.NotFoundError("the server could not find the requested resource")


def _tagged(
    body: bytes, headers: Mapping[str, str], content_type: str = _JSON, tag: str = ""
) -> Page:
    """Return a page that clients keep: without its body where they have it already."""
    quoted = f'"{tag or hashlib.sha256(body).hexdigest().upper()}"'
    fields = {"ETag": quoted, "Cache-Control": "no-cache, private", "Vary": "Accept"}
    has = [each.strip() for each in headers.get("If-None-Match", "").split(",")]
    if quoted in has or "*" in has:
        return Page(b"", content_type, fields, 304)
    return Page(body, content_type, fields)


def _json(value: object) -> Page:
    return Page(orjson.dumps(value))


def _openapi_v2(headers: Mapping[str, str]) -> Page:
    # Old clients ask for the protobuf form only to learn whether a kind is known. An empty
    # document says that none is, upon which they name the missing kind correctly.
    if "protobuf" in headers.get("Accept", ""):
        return Page(b"", _OPENAPI_V2_PROTOBUF)
    info = {"title": "Kubernetes", "version": GIT_VERSION}
    return _json({"swagger": "2.0", "info": info, "paths": {}})
