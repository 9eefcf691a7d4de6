"""Who may do what on an embedded platform: certificates, tokens and roles put together."""

import dataclasses
import datetime
from pathlib import Path

from wherry.apiserver import certificates, reviews
from wherry.apiserver.authentication import RequestAuthenticator
from wherry.apiserver.authorization import RoleAuthorizer
from wherry.apiserver.identity import MASTERS, User
from wherry.apiserver.roles import StoredRoles
from wherry.apiserver.tokens import TokenSigner
from wherry.apiserver.virtual import Virtual
from wherry.store import Key, Store

CONTROL_PLANE = User("system:wherry", groups=(MASTERS, "system:authenticated"))
"""As whom the controllers and the node of this process call the API."""


def utc_now() -> datetime.datetime:
    """Return the current time."""
    return datetime.datetime.now(datetime.UTC)


@dataclasses.dataclass(frozen=True)
class Identity:
    """What the API server needs to know users and their rights.

    Attributes:
        pki: Certificates and keys.
        authenticator: Says who asks.
        authorizer: Says what they may.
        virtuals: Answers access reviews and token requests.
    """

    pki: certificates.Pki
    authenticator: RequestAuthenticator
    authorizer: RoleAuthorizer
    virtuals: dict[str, Virtual]

    @classmethod
    def load(cls, directory: Path, store: Store, addresses: tuple[str, ...]) -> "Identity":
        """Read, or at the first start make, the keys below ``directory``.

        Args:
            directory: The platform's.
            store: Holds accounts and roles.
            addresses: By which clients reach the server.

        Raises:
            CertificateError: a file is damaged.
        """
        pki = certificates.load_or_create(directory / "pki", addresses, utc_now())
        signer = TokenSigner(pki.signing_key)

        def uid_of(resource: str, namespace: str, name: str) -> str | None:
            record = store.get(Key(resource, namespace, name))
            return record.uid if record is not None else None

        authenticator = RequestAuthenticator(signer, uid_of, utc_now)
        authorizer = RoleAuthorizer(StoredRoles(store))
        virtuals = reviews.virtuals(authorizer, authenticator, signer, uid_of=uid_of, now=utc_now)
        return cls(pki, authenticator, authorizer, virtuals)
