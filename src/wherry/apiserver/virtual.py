"""Resources that are computed and never stored: access reviews, token requests."""

from collections.abc import Mapping
from typing import Protocol

from wherry.apiserver.identity import User
from wherry.objects.requests import Object


class Virtual(Protocol):
    """Answers the creation of one virtual resource."""

    async def create(self, obj: Object, user: User) -> Object:
        """Return the object with its status filled in.

        Args:
            obj: What was sent, decoded after its schema, the handler's own. For a subresource
                (``serviceaccounts/token``) the metadata names the object it is asked of; that
                object exists.
            user: Who asks.

        Raises:
            ApiError: It cannot be answered.
        """
        ...


Virtuals = Mapping[str, Virtual]
"""By resource key, e.g. ``subjectaccessreviews.authorization.k8s.io``, or ``serviceaccounts/token``."""
