"""Files of http artifacts are had from servers, and put there.

Who asks is told by a name and a password, a token, or a certificate; that is for the artifact's own host,
and not for others that it redirects to.

Source: argoproj/argo-workflows v4, ``workflow/artifacts/http``; for tokens ``clientcredentials`` of
golang.org/x/oauth2 v0.36, by which upstream asks.
"""

import base64
import contextlib
import http.client
import json
import os
import shutil
import ssl
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from wherry.metadata.artifacts.storage import MissingError, StorageError
from wherry.pipelines.workflows.agent.failing import AgentError
from wherry.pipelines.workflows.agent.redirecting import Redirections, host

SCHEMES: Final = ("http://", "https://")
_SECONDS: Final = 60
_NOT_FOUND: Final = 404
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_PIECE: Final = 1024 * 1024
"""Bytes of a file that are sent at a time."""
_LONGEST_TOKEN: Final = 1024 * 1024
_LONGEST_REASON: Final = 500
_FORM: Final = "application/x-www-form-urlencoded"
_TYPES: Final = {"": "Bearer", "bearer": "Bearer", "basic": "Basic", "mac": "MAC"}

_Part = Mapping[str, Any]


class _RefusedError(AgentError):
    """A server does not want to; with the code of its answer."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def get(url: str, told: _Part, target: Path) -> None:
    """Have a file.

    Args:
        url: Where it is.
        told: Of the request: ``headers``, and the variables with who asks.
        target: Where it comes to.

    Raises:
        MissingError: there is none.
        StorageError: it cannot be had now.
        AgentError: it cannot be had.
    """
    request = urllib.request.Request(url, headers=_headers(told))  # noqa: S310 - checked before
    try:
        with _answered(request, told) as answer:
            with target.open("wb") as file:
                shutil.copyfileobj(answer, file)
            missing = answer.length
    except _RefusedError as error:
        if error.code == _NOT_FOUND:
            raise MissingError(f"{url}: there is nothing") from error
        raise
    if missing:
        raise AgentError(f"{url}: the answer ended {missing} bytes too early")


def put(url: str, told: _Part, source: Path) -> None:
    """Put a file there.

    Args:
        url: Where.
        told: As for `get`.
        source: The file.

    Raises:
        StorageError: it cannot be put there now.
        AgentError: it cannot be put there.
    """
    with source.open("rb") as file:
        headers = _headers(told) | {"Content-length": str(os.fstat(file.fileno()).st_size)}
        request = urllib.request.Request(url, file, headers, method="PUT")  # noqa: S310 - likewise
        with _answered(request, told):
            pass


@contextlib.contextmanager
def _answered(request: urllib.request.Request, told: _Part) -> Iterator[http.client.HTTPResponse]:
    """Give the answer to a request."""
    url = request.full_url
    opener = urllib.request.build_opener(_Following, _Http, _Https(request, _context(told)))
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        with error:
            message = f"{url}: HTTP {error.code} {error.reason}"
        if error.code in _PASSING:
            raise StorageError(message) from error
        raise _RefusedError(message, error.code) from error
    except OSError as error:
        raise StorageError(f"{url}: {error}") from error
    except (ValueError, http.client.HTTPException) as error:
        raise AgentError(f"{url}: {error}") from error


def _headers(told: _Part) -> dict[str, str]:
    made = {str(name): str(value) for name, value in told["headers"]}
    if "oauth2" in told:
        return made | {"Authorization": _token(told["oauth2"])}
    if "usernameSecret" in told or "passwordSecret" in told:
        pair = _secret(told, "usernameSecret"), _secret(told, "passwordSecret")
        return made | {"Authorization": _basic(*pair)}
    return made


def _basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def _secret(told: _Part, name: str) -> str:
    return os.environ.get(told.get(name, ""), "")


# Certificates.


def _context(told: _Part) -> ssl.SSLContext | None:
    """Return how to show the certificate of who asks; None: there is none."""
    named: _Part = told.get("clientCert") or {}
    if not named:
        return None
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    # Some servers ask for it only once they know what is wanted of them.
    context.post_handshake_auth = True
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = (Path(folder) / name for name in ("certificate", "key"))
        certificate.write_text(_secret(named, "clientCertSecret"), encoding="utf-8")
        key.write_text(_secret(named, "clientKeySecret"), encoding="utf-8")
        try:
            # Without a password the library would ask a terminal for that of a key that has one.
            context.load_cert_chain(certificate, key, password="")
        except (ssl.SSLError, ValueError) as error:
            raise AgentError(
                "http.auth.clientCert: want a certificate and its key in PEM, without a "
                f"password: {error}"
            ) from error
    return context


class _Connection(http.client.HTTPConnection):
    """Hears a server out that answers before it has been sent everything."""

    def request(self, *words: Any, **named: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().request(*words, **named)


class _Secured(http.client.HTTPSConnection):
    """Likewise."""

    def request(self, *words: Any, **named: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().request(*words, **named)


class _Http(urllib.request.HTTPHandler):
    """Sends requests as they are: a file has no type that anybody knows."""

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req, blocksize=_PIECE)

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        return _untyped(self, request)


class _Https(urllib.request.HTTPSHandler):
    """Likewise; the host that is asked first is shown a certificate."""

    def __init__(self, first: urllib.request.Request, context: ssl.SSLContext | None) -> None:
        super().__init__()
        self._host = host(first)
        self._shown = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        context = self._shown if host(req) == self._host else None
        return self.do_open(_Secured, req, context=context, blocksize=_PIECE)

    def https_request(self, request: urllib.request.Request) -> urllib.request.Request:
        return _untyped(self, request)


def _untyped(
    handler: urllib.request.AbstractHTTPHandler, request: urllib.request.Request
) -> urllib.request.Request:
    is_typed = request.has_header("Content-type")
    made = handler.do_request_(request)
    if not is_typed:
        made.unredirected_hdrs.pop("Content-type", None)
    return made


class _Following(Redirections):
    """Has a file be put where a server says that it belongs."""

    def redirect_request(
        self, req: urllib.request.Request, *answer: Any
    ) -> urllib.request.Request | None:
        _, code, _, _, url = answer
        is_web = url.lower().startswith(SCHEMES)
        if req.get_method() != "PUT" or code not in (307, 308) or not is_web:
            return super().redirect_request(req, *answer)
        assert req.data is not None, "there is nothing to put"
        req.data.seek(0)  # type: ignore[union-attr] # a file, see `put`
        made = urllib.request.Request(  # noqa: S310 - what calls this has looked at it
            url.replace(" ", "%20"), req.data, req.headers, method="PUT"
        )
        return self.without_credentials(req, made)


# Tokens.


def _token(named: _Part) -> str:
    """Return the token that a client is given for its name and secret, as a header has it.

    Raises:
        StorageError: it is given none now.
        AgentError: it is given none.
    """
    url = _secret(named, "tokenURLSecret").strip()
    if not url.lower().startswith(SCHEMES):
        raise AgentError("http.auth.oauth2.tokenURLSecret: want http:// or https://")
    client = _secret(named, "clientIDSecret"), _secret(named, "clientSecretSecret")
    form = [(str(name), str(value)) for name, value in named["form"]]
    basic = _basic(*map(urllib.parse.quote_plus, client))
    try:
        return _given(url, form, {"Authorization": basic})
    except AgentError:
        # Some servers look for who asks in the form only; which do is found out as upstream does.
        pair = zip(("client_id", "client_secret"), client, strict=True)
        return _given(url, [*form, *pair], {})


def _given(url: str, form: list[tuple[str, str]], headers: Mapping[str, str]) -> str:
    request = urllib.request.Request(  # noqa: S310 - see `_token`
        url,
        urllib.parse.urlencode(form).encode(),
        {**headers, "Content-type": _FORM, "Accept": "application/json"},
    )
    where = f"http.auth.oauth2: {url}"
    try:
        opener = urllib.request.build_opener(Redirections)
        with opener.open(request, timeout=_SECONDS) as answer:
            found = _read(answer.read(_LONGEST_TOKEN), answer.headers.get_content_type())
    except urllib.error.HTTPError as error:
        with error:
            why = _reason(error)
        kind = StorageError if error.code in _PASSING else AgentError
        raise kind(f"{where}: HTTP {error.code} {why}") from error
    except OSError as error:
        raise StorageError(f"{where}: {error}") from error
    except (ValueError, http.client.HTTPException) as error:
        raise AgentError(f"{where}: {error}") from error
    token, kind_of = str(found.get("access_token") or ""), str(found.get("token_type") or "")
    if not token:
        raise AgentError(f"{where}: the answer has no access_token")
    return f"{_TYPES.get(kind_of.lower(), kind_of)} {token}"


def _read(content: bytes, media_type: str) -> Mapping[str, Any]:
    """Return the fields of an answer, which some servers give as a form.

    Raises:
        ValueError: it has none.
    """
    text = content.decode(errors="replace")
    if media_type in (_FORM, "text/plain"):
        return dict(urllib.parse.parse_qsl(text))
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    return found


def _reason(error: urllib.error.HTTPError) -> str:
    """Return why a server gives no token, as it says itself."""
    try:
        found = _read(error.read(_LONGEST_TOKEN), error.headers.get_content_type())
    except (OSError, ValueError, http.client.HTTPException):
        found = {}
    said = [str(found[name]) for name in ("error", "error_description") if found.get(name)]
    return ": ".join([str(error.reason), *said])[:_LONGEST_REASON]
