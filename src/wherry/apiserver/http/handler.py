"""One HTTP request, from its first line to its answer.

Here authentication, authorization and the wording of failures come together; nothing else in the
room asks who somebody is.
"""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, cast
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from wherry.apiserver import access, admitting, connect_options, forms, pod_streams, table
from wherry.apiserver.answers import One
from wherry.apiserver.audit import ids
from wherry.apiserver.audit.auditor import Auditor
from wherry.apiserver.audit.policy import Level, Subject
from wherry.apiserver.call import Call, is_true
from wherry.apiserver.connections import targets
from wherry.apiserver.fairness.gate import Gate
from wherry.apiserver.http import bodies, identification, passing, paths, replies, streams
from wherry.apiserver.http.limits import Connection, Connections
from wherry.apiserver.http.metrics import Metrics
from wherry.apiserver.http.site import Page, Site, not_found
from wherry.apiserver.identity import ANONYMOUS, Authenticator, Authorizer, User
from wherry.apiserver.pod_streams import PodConnections, PodStreams
from wherry.apiserver.registry import Registry
from wherry.apiserver.resources import Served
from wherry.apiserver.watching import Watch
from wherry.objects import errors, kinds
from wherry.objects.requests import Request, Verb
from wherry.objects.resources import Resource

_LOG = logging.getLogger(__name__)
_MAX_QUERY_FIELDS = 1000
_CONNECTIONS: Final = frozenset({"exec", "attach", "portforward", "proxy"})
_INCLUDES: Final = frozenset({"None", "Metadata", "Object"})
_BODY_VERBS: Final = frozenset({"create", "update", "patch"})
_DURATION: Final = re.compile(
    r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)", re.ASCII
)
"""As Go writes them. Nothing takes that long here, so that only the form matters."""


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
        gate: Lets requests in.
        connections: Bounds on what one client may hold.
        auditor: Keeps the audit log; None where there is none.
        pod_streams: Logs; None where no node is attached.
        pod_connections: exec, attach, port-forward, proxy; None where nobody carries them out.
    """

    registry: Registry
    renderer: forms.Renderer
    authenticator: Authenticator
    authorizer: Authorizer
    site: Site
    metrics: Metrics
    gate: Gate
    connections: Connections
    auditor: Auditor | None = None
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
        way = passing.Passing(self._parts.gate)
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.begin()
        try:
            response = await self._answer(request, names, warnings, way)
        except errors.ApiError as error:
            _check_unanswered(request, error)
            response = replies.status(error, warnings)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, the client gets a Status and the log the rest)
            _LOG.exception("a %s request of %s failed", names[0] or request.method, names[1])
            _check_unanswered(request, error)
            text = "an error on the server has prevented the request from succeeding: see its log"
            response = replies.status(errors.InternalError(text))
        finally:
            way.leave()
            connection.end()
        if not response.prepared:
            response.headers.update(way.headers)
        if way.audited is not None and self._parts.auditor is not None:
            self._parts.auditor.finish(way.audited, response.status, _body_of(response))
        seconds = None if names[0] == "watch" else time.perf_counter() - started
        self._parts.metrics.count(names[0], names[1], response.status, seconds)
        return response

    async def _answer(
        self,
        request: web.BaseRequest,
        names: list[str],
        warnings: list[str],
        way: passing.Passing,
    ) -> web.StreamResponse:
        path, _, query_text = request.raw_path.partition("?")
        query = _query(query_text) if query_text else {}
        if (timeout := query.get("timeout")) and not _DURATION.fullmatch(timeout):
            raise errors.BadRequestError(
                "invalid timeout specified in the request URL - it must be a duration such as 30s, "
                f"not {timeout!r:.40}"
            )
        user = await self._user(request, way)
        segments = paths.segments(path)
        target = paths.target(segments)
        if target is None:
            names[0] = request.method.lower() if request.method in {"GET", "HEAD"} else "other"
            way.of_path(user, request.method, path)
            if self._parts.auditor is not None:
                self._audit(request, way, Subject(user, request.method.lower(), path))
            await way.enter()
            return self._page(request, segments, query, user)
        served, asked = self._request(request.method, target, query)
        names[:] = asked.verb, target.plural
        way.of_resource(user, asked)
        if self._parts.auditor is not None:
            self._audit(request, way, _subject(user, path, asked), target.version)
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
            with self._parts.connections.stream(user):
                return await self._watch(request, call, way)
        if asked.subresource == "log" and served.resource.plural == "pods":
            with self._parts.connections.stream(user):
                return await self._log(request, call, way)
        if asked.subresource in _CONNECTIONS:
            with self._parts.connections.stream(user):
                return await self._connect(request, call, way)
        return await self._run(request, call, way)

    async def _user(self, request: web.BaseRequest, way: passing.Passing) -> User:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        headers = request.headers
        user = await self._parts.authenticator.authenticate(headers, certificate or None)
        user = user or ANONYMOUS
        meant = identification.impersonated(self._parts.authorizer, user, headers)
        if meant is not user:
            way.impersonator = user.name
        return meant

    def _audit(
        self,
        request: web.BaseRequest,
        way: passing.Passing,
        subject: Subject,
        version: str = "",
    ) -> None:
        if self._parts.auditor is None:
            return
        way.audited = self._parts.auditor.begin(
            subject,
            id=ids.new(),
            uri=request.raw_path,
            agent=request.headers.get("User-Agent", ""),
            address=request.remote or "",
            version=version,
            impersonator=way.impersonator,
        )

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

    async def _run(
        self, request: web.BaseRequest, call: Call, way: passing.Passing
    ) -> web.StreamResponse:
        # Refused before anything is done, not after.
        accepted = forms.negotiate(request.headers.get("Accept", ""))
        asked = call.request
        if asked.verb in _BODY_VERBS or asked.verb.startswith("delete"):
            call = await self._with_body(request, call)
            if way.audited is not None and way.audited.decision.level >= Level.REQUEST:
                way.audited.body = _copy(call.request.body)
        include = _include(asked.options) if "includeObject" in asked.options else "Metadata"
        # A body that comes slowly holds no seat.
        await way.enter(passing.items(self._parts.registry.core, call))
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
        try:
            body = bodies.decode(data, content_type, find_duplicates=wanted)
        except errors.BadRequestError as error:
            if asked.verb not in {"create", "update"} or asked.subresource:
                raise
            what = f"the object provided is unrecognized (must be of type {asked.resource.kind})"
            raise errors.BadRequestError(f"{what}: {error.message}") from error
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

    async def _watch(
        self, request: web.BaseRequest, call: Call, way: passing.Passing
    ) -> web.StreamResponse:
        accepted = forms.negotiate(request.headers.get("Accept", ""))
        streams_list = call.flag("sendInitialEvents")
        form = forms.choose(accepted, served=True, as_table=not streams_list)
        include = _include(call.request.options)
        seconds = streams.watch_seconds(call.number("timeoutSeconds"))
        await way.enter(passing.items(self._parts.registry.core, call))
        watch = await self._parts.registry.watch(call)
        way.leave()
        self._watches.add(watch)
        self._parts.metrics.watches += 1
        if way.audited is not None and self._parts.auditor is not None:
            self._parts.auditor.started(way.audited)
        try:
            return await streams.send_watch(
                request,
                watch,
                self._parts.renderer,
                form=form,
                include=include,
                seconds=seconds,
                headers=way.headers,
            )
        finally:
            self._parts.metrics.watches -= 1
            self._watches.discard(watch)

    async def _log(
        self, request: web.BaseRequest, call: Call, way: passing.Passing
    ) -> web.StreamResponse:
        if request.method != "GET":
            raise errors.MethodNotAllowedError("logs can only be read")
        await way.enter()
        chunks = pod_streams.log(self._parts.pod_streams, self._parts.registry.core, call)
        way.leave()
        try:
            # What is wrong is known with the first chunk, while it can still be said.
            first = await anext(chunks, b"")
            return await streams.send_bytes(request, chunks, first, headers=way.headers)
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    async def _connect(
        self, request: web.BaseRequest, call: Call, way: passing.Passing
    ) -> web.StreamResponse:
        await way.enter()
        way.leave()
        asked, core = call.request, self._parts.registry.core
        served = core.served(call)
        if asked.subresource not in served.resource.subresources:
            raise not_found()
        name = asked.name or ""
        if asked.subresource == "proxy":
            name = targets.parse(name).name
        described = kinds.subresource(served.resource, asked.subresource)
        assert described is not None
        wanted = connect_options.of(described, request.raw_path)
        await admitting.admit_body(core, call, "CONNECT", wanted)
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


def _check_unanswered(request: web.BaseRequest, error: Exception) -> None:
    """Cut the connection where part of an answer has left.

    A `Status` would come out in the middle of it: a chunked body breaks off, which every client
    understands, but it does not turn into another answer.

    Raises:
        ConnectionAbortedError: It has.
    """
    if not request.writer.output_size:
        return
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionAbortedError(f"the answer broke off: {error}") from error


def _subject(user: User, path: str, asked: Request) -> Subject:
    resource, below = asked.resource, asked.subresource
    return Subject(
        user,
        asked.verb,
        path,
        group=resource.group,
        resource=f"{resource.plural}/{below}" if below else resource.plural,
        namespace=asked.namespace or "",
        name=asked.name or "",
    )


def _body_of(response: web.StreamResponse) -> bytes:
    body = response.body if isinstance(response, web.Response) else b""
    return body if isinstance(body, bytes) else b""


def _copy(body: object) -> object:
    """Return a body as it was sent: the registry may change it while it is at work."""
    try:
        return orjson.loads(orjson.dumps(body))
    except (TypeError, ValueError):
        return None


def _query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError as error:
        raise errors.BadRequestError("the query has too many parameters") from error
    return dict(pairs)


def _verb(method: str, target: paths.Target, query: Mapping[str, str]) -> Verb:
    if method in {"GET", "HEAD"}:
        # An answer to HEAD has no body, however long it is waited for.
        if method == "GET" and target.subresource is None and is_true(query.get("watch")):
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
