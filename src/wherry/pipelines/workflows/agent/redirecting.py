"""Redirections of the web are followed; what is meant for one host is not told to the next.

Source: Go's ``net/http`` (shouldCopyHeaderOnRedirect), by which upstream asks. Beyond it, nothing that was
meant for a secured connection is told over one that is not.
"""

import urllib.parse
import urllib.request
from typing import Any, Final

_OF_HOST: Final = ("Authorization", "Cookie", "Proxy-authorization")


class Redirections(urllib.request.HTTPRedirectHandler):
    """Follows redirections; to another host without credentials."""

    def redirect_request(
        self, req: urllib.request.Request, *answer: Any
    ) -> urllib.request.Request | None:
        """Return the request that is made in place of another one."""
        made = super().redirect_request(req, *answer)
        return None if made is None else self.without_credentials(req, made)

    def without_credentials(
        self, req: urllib.request.Request, made: urllib.request.Request
    ) -> urllib.request.Request:
        """Return a request without what only the one before it may be told."""
        if host(made) != host(req) or (req.type, made.type) == ("https", "http"):
            for name in _OF_HOST:
                made.remove_header(name)
        return made


def host(request: urllib.request.Request) -> str | None:
    """Return the name of the host that is asked."""
    return urllib.parse.urlsplit(request.full_url).hostname
