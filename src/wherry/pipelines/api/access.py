"""Who may do what: the cluster's roles decide, asked by `SubjectAccessReview`."""

import asyncio
import itertools
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from wherry.client.client import Client
from wherry.objects import kinds as core

GROUP: Final = "pipelines.kubeflow.org"
VERSION: Final = "v1beta1"
"""Which is asked for, whatever version of the API is called: upstream's roles say nothing of it."""
ANONYMOUS: Final = "system:anonymous"
_KEPT_SECONDS: Final = 5.0
_MOST_KEPT: Final = 4096
_AT_ONCE: Final = 16
"""Questions under way to the API server, whoever calls."""


@dataclass(frozen=True, slots=True)
class User:
    """Who calls.

    Attributes:
        name: As roles are bound to.
        groups: Likewise.
    """

    name: str
    groups: tuple[str, ...] = ()

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody has said who it is."""
        return self.name == ANONYMOUS


NOBODY: Final = User(ANONYMOUS, ("system:unauthenticated",))
_Key = tuple[User, str, str, str, str]


class Access:
    """Asks who may do what. For one event loop."""

    def __init__(self, client: Client) -> None:
        """Take what it asks with.

        Args:
            client: May create SubjectAccessReviews.
        """
        self._client = client
        self._known: dict[_Key, tuple[float, bool]] = {}
        self._asking = asyncio.Semaphore(_AT_ONCE)

    async def allowed(
        self, user: User, *, namespace: str, resource: str, verb: str, group: str = GROUP
    ) -> bool:
        """Return whether a user may do something; an answer is good for some seconds.

        Args:
            user: Who.
            namespace: Where; empty: everywhere.
            resource: To what, with ``/`` before a subresource.
            verb: What.
            group: Of the resource.

        Raises:
            ApiError: the API does not answer.
        """
        key, now = (user, namespace, group, resource, verb), time.monotonic()
        known = self._known.get(key)
        if known is not None and now < known[0]:
            return known[1]
        async with self._asking:
            allowed = await self._ask(key)
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[key] = now + _KEPT_SECONDS, allowed
        return allowed

    async def allowed_in(
        self, user: User, namespaces: Collection[str], *, resource: str, verb: str
    ) -> frozenset[str]:
        """Return in which of some namespaces a user may do something, asked at once.

        Args:
            user: Who.
            namespaces: Where it may be.
            resource: To what, of our group.
            verb: What.

        Raises:
            ApiError: the API does not answer.
        """
        answers = await asyncio.gather(
            *(
                self.allowed(user, namespace=each, resource=resource, verb=verb)
                for each in namespaces
            )
        )
        return frozenset(itertools.compress(namespaces, answers))

    async def _ask(self, key: _Key) -> bool:
        user, namespace, group, resource, verb = key
        resource, _, subresource = resource.partition("/")
        wanted = {
            "group": group,
            "version": VERSION if group == GROUP else "*",
            "resource": resource,
            "verb": verb,
            "namespace": namespace,
            **({"subresource": subresource} if subresource else {}),
        }
        review = {
            "apiVersion": core.SUBJECT_ACCESS_REVIEWS.api_version,
            "kind": core.SUBJECT_ACCESS_REVIEWS.kind,
            "spec": {"user": user.name, "groups": [*user.groups], "resourceAttributes": wanted},
        }
        answer = await self._client.create(core.SUBJECT_ACCESS_REVIEWS, review)
        return bool((answer.get("status") or {}).get("allowed"))
