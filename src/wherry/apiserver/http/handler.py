"""One HTTP request, from its first line to its answer.

Here authentication, authorization and the wording of failures come together; nothing else in the
room asks who somebody is.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, cast
from urllib.parse import parse_qsl

from aiohttp import web

from wherry.apiserver import access, forms, pod_streams, table
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.connections import targets
from wherry.apiserver.http import bodies, identification, paths, replies, streams
from wherry.apiserver.http.metrics import Metrics
from wherry.apiserver.http.site import Page, Site, not_found
from wherry.apiserver.identity import ANONYMOUS, Authenticator, Authorizer, User
from wherry.apiserver.pod_streams import PodConnections, PodStreams
from wherry.apiserver.registry import Registry
from wherry.apiserver.resources import Served
from wherry.apiserver.watching import Watch
from wherry.objects import errors
from wherry.objects.requests import Request, Verb
from wherry.objects.resources import Resource

_LOG = logging.getLogger(__name__)
_MAX_QUERY_FIELDS = 1000
_CONNECTIONS: Final = frozenset({"exec", "attach", "portforward", "proxy"})
_INCLUDES: Final = frozenset({"None", "Metadata", "Object"})
_BODY_VERBS: Final = frozenset({"create", "update", "patch"})
_TRUE: Final = frozenset({"true", "1"})


@dataclass(frozen=True, slots=True)
class Parts:
    """What a handler works with.

    Attributes:
        registry: The verbs.
        renderer: Makes bytes of answers.
        authenticator: Who is it?
        authorizer: May they?
        site: What is no resource.
        metrics: Counts.
        pod_streams: Logs; None where no node is attached.
        pod_connections: exec, attach, port-forward, proxy; None where nobody carries them out.
    """

    registry: Registry
    renderer: forms.Renderer
    authenticator: Authenticator
    authorizer: Authorizer
    site: Site
    metrics: Metrics
    pod_streams: PodStreams | None = None
    pod_connections: PodConnections | None = None


class Handler:
    """Answers requests. One instance serves all connections."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._watches: set[Watch] = set()

    def end_watches(self) -> None:
        """Let all open watches end as if their time were up."""
        for watch in list(self._watches):
            watch.close()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; failures become `Status` answers."""
        started = time.perf_counter()
        names = ["", ""]
        warnings: list[str] = []
        try:
            response = await self._answer(request, names, warnings)
        except errors.ApiError as error:
            response = replies.status(error, warnings)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 (whatever it is, the client gets a Status and the log the rest)
            _LOG.exception("a %s request of %s failed", names[0] or request.method, names[1])
            text = "an error on the server has prevented the request from succeeding: see its log"
            response = replies.status(errors.InternalError(text))
        seconds = None if names[0] == "watch" else time.perf_counter() - started
        self._parts.metrics.count(names[0], names[1], response.status, seconds)
        return response

    async def _answer(
        self, request: web.BaseRequest, names: list[str], warnings: list[str]
    ) -> web.StreamResponse:
        path, _, query_text = request.raw_path.partition("?")
        query = _query(query_text) if query_text else {}
        user = await self._user(request)
        segments = paths.segments(path)
        target = paths.target(segments)
        if target is None:
            names[0] = request.method.lower() if request.method in {"GET", "HEAD"} else "other"
            return self._page(request, segments, query, user)
        served, asked = self._request(request.method, target, query)
        names[:] = asked.verb, target.plural
        access.check(self._parts.authorizer, user, asked)
        if served is None:
            names[1] = ""
            raise not_found()
        call = Call(
            asked,
            user,
            warnings=warnings,
            agent=request.headers.get("User-Agent", ""),
            check=partial(access.check, self._parts.authorizer, user),
        )
        if asked.verb == "watch":
            return await self._watch(request, call)
        if asked.subresource == "log" and served.resource.plural == "pods":
            return await self._log(request, call)
        if asked.subresource in _CONNECTIONS:
            return await self._connect(request, call)
        return await self._run(request, call)

    async def _user(self, request: web.BaseRequest) -> User:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        headers = request.headers
        user = await self._parts.authenticator.authenticate(headers, certificate or None)
        return identification.impersonated(self._parts.authorizer, user or ANONYMOUS, headers)

    def _page(
        self, request: web.BaseRequest, parts: list[str], query: Mapping[str, str], user: User
    ) -> web.Response:
        path = request.raw_path.partition("?")[0]
        access.check_path(self._parts.authorizer, user, request.method, path)
        if request.method not in {"GET", "HEAD"}:
            raise errors.MethodNotAllowedError(
                f"the server does not allow {request.method:.20} on this path"
            )
        page: Page = self._parts.site.page(parts, request.headers, query)
        fields = replies.headers(page.content_type)
        fields.update(page.headers)
        return web.Response(body=page.body, status=page.code, headers=fields)

    def _request(
        self, method: str, target: paths.Target, query: Mapping[str, str]
    ) -> tuple[Served | None, Request]:
        served = self._parts.registry.core.resources.by_path(
            target.group, target.version, target.plural
        )
        verb = _verb(method, target, query)
        if served is None:
            resource = Resource(target.group, target.version, target.plural, kind="")
        else:
            resource = served.resource
            misplaced = resource.namespaced and target.namespace is None and target.name is not None
            if misplaced or (target.namespace is not None and not resource.namespaced):
                served = None
        return served, Request(
            verb,
            resource,
            namespace=target.namespace,
            name=target.name,
            subresource=target.subresource,
            options=query,
        )

    async def _run(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        # Refused before anything is done, not after.
        accepted = forms.negotiate(request.headers.get("Accept", ""))
        asked = call.request
        if asked.verb in _BODY_VERBS or asked.verb.startswith("delete"):
            call = await self._with_body(request, call)
        include = _include(asked.options) if "includeObject" in asked.options else "Metadata"
        answer = await self._parts.registry.run(call)
        renderer = self._parts.renderer
        if isinstance(answer, One):
            form = forms.choose(accepted, served=answer.served is not None)
            body = renderer.one(answer, form, include)
            return await replies.send(request, body, answer.code, call.warnings)
        form = forms.choose(accepted, served=True)
        return await replies.send(request, renderer.many(answer, form, include), 200, call.warnings)

    async def _with_body(self, request: web.BaseRequest, call: Call) -> Call:
        asked = call.request
        data = await bodies.read(request)
        content_type = bodies.media_type(request.headers.get("Content-Type", ""))
        if asked.verb == "patch" and content_type not in bodies.PATCHES:
            raise errors.UnsupportedMediaTypeError(
                "the body of the request was in an unknown format - accepted media types include: "
                + ", ".join(bodies.PATCHES)
            )
        wanted = asked.verb in _BODY_VERBS and asked.options.get("fieldValidation") != "Ignore"
        body = bodies.decode(data, content_type, find_duplicates=wanted)
        if body.value is None and asked.verb in _BODY_VERBS and asked.subresource != "token":
            raise errors.BadRequestError("the request has no body")
        whole = Request(
            asked.verb,
            asked.resource,
            namespace=asked.namespace,
            name=asked.name,
            subresource=asked.subresource,
            body=body.value,
            content_type=content_type,
            options=asked.options,
        )
        return replace(call, request=whole, duplicates=body.duplicates)

    async def _watch(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        form = forms.choose(forms.negotiate(request.headers.get("Accept", "")), served=True)
        include = _include(call.request.options)
        seconds = streams.watch_seconds(call.number("timeoutSeconds"))
        watch = await self._parts.registry.watch(call)
        self._watches.add(watch)
        self._parts.metrics.watches += 1
        try:
            return await streams.send_watch(
                request,
                watch,
                self._parts.renderer,
                form=form,
                include=include,
                seconds=seconds,
            )
        finally:
            self._parts.metrics.watches -= 1
            self._watches.discard(watch)

    async def _log(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        asked, core = call.request, self._parts.registry.core
        if asked.verb != "get":
            raise errors.MethodNotAllowedError("logs can only be read")
        pod = core.committed(core.served(call), asked.name or "", asked.namespace).value()
        options = pod_streams.log_options(call)
        container = pod_streams.container_of(pod, asked.options.get("container", ""))
        node = self._parts.pod_streams
        if node is None:
            raise errors.ServiceUnavailableError("no node is attached: there are no logs to read")
        chunks = node.logs(asked.namespace or "", asked.name or "", container, options)
        try:
            # What is wrong is known with the first chunk, while it can still be said.
            first = await anext(chunks, b"")
            return await streams.send_bytes(request, chunks, first)
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    async def _connect(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        asked, core = call.request, self._parts.registry.core
        served = core.served(call)
        if asked.subresource not in served.resource.subresources:
            raise not_found()
        name = asked.name or ""
        if asked.subresource == "proxy":
            name = targets.parse(name).name
        obj = core.committed(served, name, asked.namespace).value()
        connections = self._parts.pod_connections
        if connections is None:
            raise NotImplementedByServerError(
                f"{asked.subresource} is not available on this server: read the output of "
                f"containers with logs"
            )
        return await connections.connect(request, call, obj)


class NotImplementedByServerError(errors.ApiError):
    """The route exists, and nobody behind it."""

    code, reason = 501, "NotImplemented"


def _query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError as error:
        raise errors.BadRequestError("the query has too many parameters") from error
    return dict(pairs)


def _verb(method: str, target: paths.Target, query: Mapping[str, str]) -> Verb:
    if method in {"GET", "HEAD"}:
        if target.subresource is None and query.get("watch", "") in _TRUE:
            return "watch"
        return "get" if target.name is not None else "list"
    if method == "POST" and (target.name is None or target.subresource is not None):
        return "create"
    if method == "DELETE":
        return "delete" if target.name is not None else "deletecollection"
    if target.name is not None and method in {"PUT", "PATCH"}:
        return "update" if method == "PUT" else "patch"
    raise errors.MethodNotAllowedError(
        f"the server does not allow this method on the requested resource: {method:.20}"
    )


def _include(query: Mapping[str, str]) -> table.IncludeObject:
    value = query.get("includeObject") or "Metadata"
    if value not in _INCLUDES:
        raise errors.BadRequestError(
            f"includeObject must be None, Metadata or Object, not {value!r:.40}"
        )
    return cast(table.IncludeObject, value)
