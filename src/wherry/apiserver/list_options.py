"""Which moment a list or watch is about: `resourceVersion`, `resourceVersionMatch`, `continue`.

Source: `pkg/apis/meta/internalversion/validation` of apimachinery (the rules and their words).
"""

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson

from wherry.apiserver.call import Call
from wherry.objects import errors
from wherry.objects.errors import Cause
from wherry.store import Key, Store

_FORM = "meta.k8s.io/v1"
_MAX_TOKEN_CHARACTERS = 4096
_FUTURE_WAIT_SECONDS = 3.0
_FUTURE_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ContinueToken:
    """Where the next page begins.

    Attributes:
        revision: The snapshot that is paged through; -1 for whatever is current.
        after: The last object of the page before.
    """

    revision: int
    after: Key

    def encode(self) -> str:
        """Return the token as clients carry it."""
        fields = {
            "v": _FORM,
            "rv": self.revision,
            "start": f"{self.after.namespace}/{self.after.name}",
        }
        return base64.urlsafe_b64encode(orjson.dumps(fields)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, resource: str) -> "ContinueToken":
        """Read a token.

        Args:
            text: As `encode` gave it; anything a client may send.
            resource: The resource that is listed.

        Raises:
            BadRequestError: It is none of ours.
        """
        try:
            if len(text) > _MAX_TOKEN_CHARACTERS:
                raise ValueError("too long")
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            fields = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if fields["v"] != _FORM or type(fields["rv"]) is not int or fields["rv"] < -1:
                raise ValueError("unknown version")
            namespace, slash, name = str(fields["start"]).partition("/")
            if not slash or not name:
                raise ValueError("no start")
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise errors.BadRequestError(
                "continue key is not valid: use the one of the list's metadata.continue, unchanged"
            ) from error
        return cls(fields["rv"], Key(resource, namespace, name))


class ExpiredContinueError(errors.GoneError):
    """The paged snapshot is gone; the answer carries a token that goes on with the current state."""

    def __init__(self, token: ContinueToken) -> None:
        super().__init__(
            "The provided continue parameter is too old to display a consistent list result. You can "
            "start a new list without the continue parameter, or use the continue token in this "
            "response to retrieve the remainder of the results. Continuing with the provided token "
            "results in an inconsistent list - objects that were created, modified, or deleted between "
            "the time the first chunk was returned and now may show up in the list."
        )
        self.token = token

    def to_status(self) -> dict[str, Any]:
        """Return the `Status`, with the token in its metadata."""
        status = errors.GoneError.to_status(self)
        status["metadata"] = {"continue": ContinueToken(-1, self.token.after).encode()}
        return status


def check(call: Call, *, watch: bool) -> None:
    """Check the combination of options.

    Raises:
        InvalidError: They contradict each other.
    """
    options = call.request.options
    match, version = options.get("resourceVersionMatch", ""), options.get("resourceVersion", "")
    initial = "sendInitialEvents" in options
    causes = _watch_causes(match, initial=initial) if watch else _list_causes(call, match, version)
    if initial and not watch:
        causes.append(_forbidden("sendInitialEvents", "is forbidden for list"))
    if causes:
        raise errors.invalid("ListOptions", "", causes, "meta.k8s.io")


def _forbidden(field: str, why: str) -> Cause:
    return Cause(field, f"Forbidden: {field} {why}", "FieldValueForbidden")


def _list_causes(call: Call, match: str, version: str) -> list[Cause]:
    field = "resourceVersionMatch"
    causes: list[Cause] = []
    if not match:
        return causes
    if call.request.options.get("continue"):
        causes.append(_forbidden(field, "is forbidden when continue is provided"))
    if not version:
        causes.append(_forbidden(field, "is forbidden unless resourceVersion is provided"))
    if match not in {"Exact", "NotOlderThan"}:
        text = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan"'
        causes.append(Cause(field, text, "FieldValueNotSupported"))
    if match == "Exact" and version == "0":
        causes.append(_forbidden(field, 'is forbidden as "Exact" for resourceVersion "0"'))
    return causes


def _watch_causes(match: str, *, initial: bool) -> list[Cause]:
    field = "resourceVersionMatch"
    if not initial:
        return (
            [_forbidden(field, "is forbidden for watch unless sendInitialEvents is provided")]
            if match
            else []
        )
    if match != "NotOlderThan":
        return [_forbidden(field, "must be NotOlderThan when sendInitialEvents is provided")]
    return []


def revision(call: Call) -> int | None:
    """Return `resourceVersion` as a number, None where it is not given.

    Raises:
        InvalidError: It is not a number.
    """
    text = call.request.options.get("resourceVersion", "")
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    cause = Cause("resourceVersion", f'Invalid value: "{text[:40]}": must be a decimal number')
    raise errors.invalid("ListOptions", "", [cause], "meta.k8s.io")


async def reach(store: Store, wanted: int) -> None:
    """Wait until the store has come to a revision.

    Raises:
        ServerTimeoutError: It has not within a few seconds (cause ``ResourceVersionTooLarge``).
    """
    deadline = asyncio.get_running_loop().time() + _FUTURE_WAIT_SECONDS
    while store.revision < wanted:
        if asyncio.get_running_loop().time() > deadline:
            cause = Cause("", "Too large resource version", "ResourceVersionTooLarge")
            raise errors.ServerTimeoutError(
                f"Too large resource version: {wanted}, current: {store.revision}",
                {"causes": [cause.to_dict()], "retryAfterSeconds": 1},
            )
        await asyncio.sleep(_FUTURE_POLL_SECONDS)
