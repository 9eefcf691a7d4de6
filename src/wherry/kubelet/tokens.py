"""Service account tokens for pods, bound to the pod and renewed before they end."""

import datetime
from dataclasses import dataclass
from typing import Protocol

from wherry.client.client import Client
from wherry.kubelet import specs
from wherry.objects import kinds, metadata
from wherry.objects.requests import Object

RENEW_AFTER = 0.8
"""Share of a token's life after which a new one is asked for; upstream's figure."""

_LONGEST_SECONDS = 24 * 3600.0


class TimeOfDay(Protocol):
    """The part of a clock that is needed here."""

    def now(self) -> datetime.datetime:
        """Return the present time, aware."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A token and when to ask for the next, in seconds since the epoch."""

    text: str
    renew_at: float


class Tokens:
    """Asks the API for tokens and keeps them in memory until they are due."""

    def __init__(self, client: Client, clock: TimeOfDay) -> None:
        self._client = client
        self._clock = clock
        self._kept: dict[tuple[str, str, int], Token] = {}

    async def get(self, pod: Object, audience: str, expiration_seconds: int) -> Token:
        """Return a token of the pod's service account.

        Args:
            pod: The pod to which the token is bound: it dies with it.
            audience: For whom it is meant; empty for the API server.
            expiration_seconds: Life asked for; the server may shorten or lengthen it.

        Raises:
            ApiError: the server refused.
        """
        key = (metadata.uid(pod), audience, expiration_seconds)
        kept = self._kept.get(key)
        now = self._clock.now().timestamp()
        if kept is not None and now < kept.renew_at:
            return kept
        answer = await self._client.create(
            kinds.SERVICE_ACCOUNTS,
            _request(pod, audience, expiration_seconds),
            subresource="token",
            name=specs.service_account(pod),
        )
        end = metadata.parse_time(answer["status"]["expirationTimestamp"]).timestamp()
        life = max(end - now, 0.0)
        token = Token(answer["status"]["token"], now + min(life * RENEW_AFTER, _LONGEST_SECONDS))
        self._kept[key] = token
        return token

    def forget(self, uid: str) -> None:
        """Drop the tokens of a pod that is gone."""
        for key in [key for key in self._kept if key[0] == uid]:
            del self._kept[key]


def _request(pod: Object, audience: str, expiration_seconds: int) -> Object:
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {
            "name": specs.service_account(pod),
            "namespace": metadata.namespace(pod),
        },
        "spec": {
            "audiences": [audience] if audience else [],
            "expirationSeconds": expiration_seconds,
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata.name(pod),
                "uid": metadata.uid(pod),
            },
        },
    }
