"""Signs approved CertificateSigningRequests, and says of others why not.

Source: the csrsigning controller of Kubernetes.
"""

import base64
from collections.abc import Callable, Collection

from wherry.controller.clock import Clock
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import conditions, kinds, metadata
from wherry.objects.requests import Object

Sign = Callable[[Object], bytes]
"""Returns a PEM certificate for a request; raises ValueError with the reason it is not signed."""


class SigningReconciler:
    """Signs the requests of some signers once they are approved."""

    def __init__(self, manager: Manager, sign: Sign, signers: Collection[str]) -> None:
        self._client = manager.client
        self._clock: Clock = manager.clock
        self._requests = manager.cache(kinds.CERTIFICATE_SIGNING_REQUESTS)
        self._sign = sign
        self._signers = signers

    async def reconcile(self, request: Request) -> Result | None:
        """Sign one request, if that is due."""
        asked = self._requests.get("", request.name)
        if asked is None or metadata.is_deleting(asked) or not self._is_due(asked):
            return None
        status = dict(asked.get("status") or {})
        try:
            status["certificate"] = base64.b64encode(self._sign(asked)).decode()
        except ValueError as error:
            moment = metadata.format_time(self._clock.now())
            failed = {
                "type": "Failed",
                "status": "True",
                "reason": "SignerValidationFailure",
                "message": str(error),
                "lastUpdateTime": moment,
                "lastTransitionTime": moment,
            }
            status["conditions"] = [*status.get("conditions", ()), failed]
        changed = {**asked, "status": status}
        resource = kinds.CERTIFICATE_SIGNING_REQUESTS
        await self._client.update(resource, changed, subresource="status")
        return None

    def _is_due(self, asked: Object) -> bool:
        if asked["spec"].get("signerName") not in self._signers:
            return False
        if (asked.get("status") or {}).get("certificate"):
            return False
        refused = any(conditions.is_true(asked, kind) for kind in ("Denied", "Failed"))
        return conditions.is_true(asked, "Approved") and not refused


def controller(manager: Manager, sign: Sign, signers: Collection[str]) -> Controller:
    """Return the controller that signs.

    Args:
        manager: Runs it.
        sign: Makes certificates.
        signers: Names of the signers that it stands for.
    """
    reconciler = SigningReconciler(manager, sign, signers)
    return Controller(
        "certificate-signing", kinds.CERTIFICATE_SIGNING_REQUESTS, reconciler, workers=1
    )
