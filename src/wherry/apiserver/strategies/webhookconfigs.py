"""Where webhooks are: the `clientConfig` of admission and conversion webhooks.

Source: `pkg/util/webhook/validation.go` of apiserver.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from wherry.apiserver.strategies import causes
from wherry.objects.errors import Cause

_MAX_PORT = 65535


def client_config(path: str, config: Mapping[str, Any]) -> Iterator[Cause]:
    """Find what is wrong with a `clientConfig`.

    Args:
        path: Of the field.
        config: Its value.
    """
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield causes.required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _url(f"{path}.url", url)
    else:
        yield from _service(f"{path}.service", service or {})


def _url(path: str, url: str) -> Iterator[Cause]:
    try:
        parts = urlsplit(url)
        host, user = parts.hostname, parts.username
    except ValueError as error:
        yield causes.required(path, f"url must be a valid URL: {error}")
        return
    wrong = (
        (parts.scheme != "https", "'https' is the only allowed URL scheme"),
        (not host, "host must be specified"),
        (user is not None, "user information is not permitted in the URL"),
        (bool(parts.fragment), "fragments are not permitted in the URL"),
        (bool(parts.query), "query parameters are not permitted in the URL"),
    )
    for is_wrong, why in wrong:
        if is_wrong:
            yield causes.invalid(path, url, f"{why}; desired format: https://host[/path]")


def _service(path: str, service: Mapping[str, Any]) -> Iterator[Cause]:
    for name in ("name", "namespace"):
        if not service.get(name):
            yield causes.required(f"{path}.{name}", f"service {name} is required")
    place = service.get("path")
    if place is not None and not place.startswith("/"):
        yield causes.invalid(f"{path}.path", place, "must start with a '/'")
    yield from causes.between(f"{path}.port", service.get("port"), 1, _MAX_PORT)
