"""Redirections of the web are followed; what is meant for one host is not told to the next.

Source: Go's ``net/http`` (shouldCopyHeaderOnRedirect), by which upstream asks.
"""

import urllib.parse
import urllib.request
from typing import Any, Final

_OF_HOST: Final = ("Authorization", "Cookie")


class Redirections(urllib.request.HTTPRedirectHandler):
    """Follows redirections; to another host without credentials."""

    def redirect_request(
        self, req: urllib.request.Request, *answer: Any
    ) -> urllib.request.Request | None:
        """Return the request that is made in place of another one."""
        made = super().redirect_request(req, *answer)
        if made is not None and _host(made) != _host(req):
            for name in _OF_HOST:
                made.remove_header(name)
        return made


def _host(request: urllib.request.Request) -> str | None:
    return urllib.parse.urlsplit(request.full_url).hostname
