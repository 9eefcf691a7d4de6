"""Tells servers of this process who calls through the API server's proxy, so that they may believe it.

Everybody else is told nothing: a pod that is called through the proxy does not learn by whom.
"""

from typing import Final

from multidict import CIMultiDict

from wherry.apiserver.identity import User
from wherry.objects import callers

_IDENTITY: Final = frozenset(
    name.lower()
    for name in (callers.PROOF, callers.USER, callers.GROUP, callers.USER_ID, "X-Remote-Uid")
)
_EXTRA: Final = "x-remote-extra-"


def headers(user: User, secret: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that tell who calls.

    Args:
        user: Who calls.
        secret: Of the place that is called; empty: it is not told.
    """
    if not secret:
        return ()
    groups = [(callers.GROUP, group) for group in user.groups]
    return ((callers.PROOF, secret), (callers.USER, user.name), *groups)


def strip(headers: CIMultiDict[str]) -> None:
    """Take away what a caller says of who it is: only we say that."""
    for name in list(headers):
        if name.lower() in _IDENTITY or name.lower().startswith(_EXTRA):
            headers.popall(name, None)
