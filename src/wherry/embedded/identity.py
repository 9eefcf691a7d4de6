"""Who may do what on an embedded platform: certificates, tokens and roles put together."""

import dataclasses
import datetime
from collections.abc import Callable, Mapping
from pathlib import Path

from wherry.apiserver import certificates, reviews
from wherry.apiserver.auth import certificate_requests, escalation, token_requests
from wherry.apiserver.auth.accounts import StoredAccounts
from wherry.apiserver.auth.nodes import NodeAuthorizer
from wherry.apiserver.authentication import RequestAuthenticator
from wherry.apiserver.authorization import RoleAuthorizer
from wherry.apiserver.identity import MASTERS, User
from wherry.apiserver.roles import StoredRoles
from wherry.apiserver.strategy import Strategy
from wherry.apiserver.tokens import Reference, TokenSigner
from wherry.apiserver.virtual import Virtual
from wherry.builtin import certificate_signing, service_account_tokens
from wherry.builtin.service_account_tokens import TokenSecretSettings
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.objects.requests import Object
from wherry.store import Store

CONTROL_PLANE = User("system:wherry", groups=(MASTERS, "system:authenticated"))
"""As whom the controllers and the node of this process call the API."""

LEGACY_ACCOUNTS = ("default", "default-editor", "default-viewer")
"""Accounts that are given a token Secret without asking: those of guides older than 1.24."""


def utc_now() -> datetime.datetime:
    """Return the current time."""
    return datetime.datetime.now(datetime.UTC)


@dataclasses.dataclass(frozen=True)
class Identity:
    """What the API server and the controllers need to know users and their rights.

    Attributes:
        pki: Certificates and keys.
        signer: Signs service-account tokens.
        authenticator: Says who asks.
        authorizer: Says what they may.
        virtuals: Answers access reviews and token requests.
        strategies: Checks on writes of roles, bindings and certificate requests.
    """

    pki: certificates.Pki
    signer: TokenSigner
    authenticator: RequestAuthenticator
    authorizer: RoleAuthorizer
    virtuals: Mapping[str, Virtual]
    strategies: Mapping[str, Strategy]

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
        accounts = StoredAccounts(store, utc_now)
        authenticator = RequestAuthenticator(signer, accounts, utc_now)
        authorizer = RoleAuthorizer(StoredRoles(store), NodeAuthorizer(store))
        requests = token_requests.TokenRequest(signer, accounts, utc_now)
        return cls(
            pki=pki,
            signer=signer,
            authenticator=authenticator,
            authorizer=authorizer,
            virtuals={**reviews.virtuals(authorizer, authenticator), token_requests.KEY: requests},
            strategies={
                **escalation.strategies(authorizer),
                **certificate_requests.strategies(authorizer, utc_now),
            },
        )

    def documents(self, url: Callable[[], str]) -> dict[str, Callable[[], bytes]]:
        """Return the documents by which others verify tokens of this server, by path.

        Args:
            url: Where the server is reached; asked when a document is.
        """
        return {
            "/.well-known/openid-configuration": lambda: self.signer.discovery(
                f"{url()}/openid/v1/jwks"
            ),
            "/openid/v1/jwks": self.signer.jwks,
        }

    def controllers(self, manager: Manager, *, legacy_tokens: bool) -> list[Controller]:
        """Return the controllers that issue tokens and certificates.

        Args:
            manager: Runs them.
            legacy_tokens: Whether `LEGACY_ACCOUNTS` are given a token Secret in every namespace.
        """
        settings = TokenSecretSettings(
            issue=self._issue_for_secret,
            certificate_authority=self.pki.authority.certificate.decode(),
            given_to=LEGACY_ACCOUNTS if legacy_tokens else (),
        )
        return [
            *service_account_tokens.controllers(manager, settings),
            certificate_signing.controller(manager, self._sign, certificate_requests.SIGNERS),
        ]

    def _issue_for_secret(self, namespace: str, account: str, uid: str, secret: str) -> str:
        return self.signer.issue_for_secret(namespace, Reference(account, uid), secret)

    def _sign(self, request: Object) -> bytes:
        return certificate_requests.sign(self.pki.authority, request, now=utc_now())
