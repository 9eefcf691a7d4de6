"""CertificateSigningRequests: who may approve and sign them, and what our authority signs.

Source: `pkg/registry/certificates`, `plugin/pkg/admission/certificates` and
`pkg/controller/certificates/signer` of Kubernetes.
"""

import base64
import dataclasses
import datetime
from collections.abc import Callable, Collection
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from wherry.apiserver import certificates
from wherry.apiserver.certificates import KeyPair
from wherry.apiserver.identity import MASTERS, Attributes, Authorizer
from wherry.apiserver.strategies import accounts
from wherry.apiserver.strategy import Context, Strategy
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

CLIENT: Final = "kubernetes.io/kube-apiserver-client"
CLIENT_KUBELET: Final = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_KUBELET: Final = "kubernetes.io/kubelet-serving"
SIGNERS: Final = (CLIENT, CLIENT_KUBELET, SERVING_KUBELET)
"""The signers that our authority stands behind."""

_JUDGEMENTS: Final = frozenset({"Approved", "Denied"})
_LONGEST = datetime.timedelta(days=365)
_NODES: Final = "system:nodes"
_NODE: Final = "system:node:"
_BASIC: Final = frozenset({"digital signature", "key encipherment"})


class RefusedError(ValueError):
    """A request that its signer does not sign; the message says why."""


def strategies(authorizer: Authorizer, now: Callable[[], datetime.datetime]) -> dict[str, Strategy]:
    """Return the strategy of CertificateSigningRequests with the checks, by resource key.

    Args:
        authorizer: Says who may approve and sign for which signer.
        now: Current time, aware.
    """
    key = kinds.CERTIFICATE_SIGNING_REQUESTS.key
    base = accounts.STRATEGIES[key]

    def on_create(obj: Object, context: Context) -> None:
        base.on_create(obj, context)
        _check_subject(obj)

    def on_update(obj: Object, old: Object, context: Context) -> None:
        base.on_update(obj, old, context)
        if context.subresource == "approval":
            _keep_all_but_conditions(obj, old, now())
            _check_verb(authorizer, "approve", obj, context)
        elif context.subresource == "status":
            _keep_judgements(obj, old, now())
            if _signature(obj) != _signature(old):
                _check_signature(obj, old)
                _check_verb(authorizer, "sign", obj, context)

    return {key: dataclasses.replace(base, on_create=on_create, on_update=on_update)}


def sign(authority: KeyPair, request: Object, *, now: datetime.datetime) -> bytes:
    """Return the certificate that an approved request asks for, PEM.

    Args:
        authority: Signs.
        request: A CertificateSigningRequest for one of `SIGNERS`.
        now: Current time, aware.

    Raises:
        RefusedError: Signer, subject, names, usages or key are not such as the signer signs.
    """
    spec = request["spec"]
    wanted = _parse(spec)
    usages = frozenset(spec.get("usages") or ())
    names = _alternative_names(wanted)
    _check_for_signer(str(spec["signerName"]), wanted.subject, usages, names)
    seconds = spec.get("expirationSeconds")
    lifetime = min(datetime.timedelta(seconds=seconds), _LONGEST) if seconds else _LONGEST
    return certificates.certify_request(
        authority, wanted, usages=usages, names=names, lifetime=lifetime, now=now
    )


def _parse(spec: Object) -> x509.CertificateSigningRequest:
    try:
        wanted = x509.load_pem_x509_csr(base64.b64decode(spec.get("request") or ""))
        key = wanted.public_key()
        valid = wanted.is_signature_valid
    except Exception as error:
        raise RefusedError(f"the request cannot be read: {error}") from error
    if not valid:
        raise RefusedError("the request is not signed by its own key")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        raise RefusedError(f"the RSA key has {key.key_size} bits; at least 2048 are needed")
    return wanted


def _alternative_names(wanted: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        found = wanted.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    except ValueError as error:
        raise RefusedError(f"the request's extensions cannot be read: {error}") from error
    return list(found.value)


def _check_for_signer(
    signer: str,
    subject: x509.Name,
    usages: frozenset[str],
    names: Collection[x509.GeneralName],
) -> None:
    if signer == CLIENT:
        if MASTERS in _values(subject, NameOID.ORGANIZATION_NAME):
            raise RefusedError(f"the group {MASTERS} is not given by certificate")
        if not _values(subject, NameOID.COMMON_NAME):
            raise RefusedError("the subject needs a common name: it is the user's")
        _check_usages(usages, "client auth")
        return
    if signer not in SIGNERS:
        raise RefusedError(f"{signer} is not a signer of this authority")
    _check_node(subject)
    if signer == CLIENT_KUBELET:
        _check_usages(usages, "client auth")
        if names:
            raise RefusedError("subject alternative names are not allowed for this signer")
        return
    _check_usages(usages, "server auth")
    allowed = (x509.DNSName, x509.IPAddress)
    if not names or not all(isinstance(name, allowed) for name in names):
        raise RefusedError(
            "subject alternative names must be given, only DNS names and IP addresses"
        )


def _check_usages(usages: frozenset[str], needed: str) -> None:
    allowed = _BASIC | {needed}
    if needed not in usages or not usages <= allowed:
        accepted = ", ".join(sorted(allowed))
        raise RefusedError(f'spec.usages must contain "{needed}" and nothing but {accepted}')


def _check_node(subject: x509.Name) -> None:
    groups, names = (
        _values(subject, oid) for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    )
    if groups != [_NODES] or len(names) != 1 or not names[0].startswith(_NODE):
        raise RefusedError(f"the subject must be O={_NODES}, CN={_NODE}NAME")


def _values(subject: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(each.value) for each in subject.get_attributes_for_oid(oid)]


def _check_subject(obj: Object) -> None:
    """Refuse at once what no approval must make an administrator of.

    Raises:
        ForbiddenError: The request names the group that may do anything.
    """
    spec = obj.get("spec") or {}
    if spec.get("signerName") != CLIENT:
        return
    try:
        subject = _parse(spec).subject
    except RefusedError:
        return  # validation will say what is wrong with it
    if MASTERS in _values(subject, NameOID.ORGANIZATION_NAME):
        why = f"use of {CLIENT} signer with {MASTERS} group is not allowed"
        raise _forbidden(obj, why)


def _check_verb(authorizer: Authorizer, verb: str, obj: Object, context: Context) -> None:
    """Refuse who may not approve or sign for the signer.

    Raises:
        ForbiddenError: The user may neither for this signer nor for all of its domain.
    """
    signer = str(obj["spec"].get("signerName", ""))
    if MASTERS in context.user.groups:
        return
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        asked = Attributes(
            context.user,
            verb,
            group=kinds.CERTIFICATE_SIGNING_REQUESTS.group,
            version="*",
            resource="signers",
            name=name,
        )
        if authorizer.authorize(asked).allowed:
            return
    raise _forbidden(obj, f'user not permitted to {verb} requests with signerName "{signer}"')


def _check_signature(obj: Object, old: Object) -> None:
    approved = {
        each.get("type") for each in _conditions(old) if each.get("status", "True") == "True"
    }
    if _signature(old):
        raise _forbidden(obj, "a certificate that was issued is not replaced")
    if "Approved" not in approved or "Denied" in approved:
        raise _forbidden(obj, "only an approved request is given a certificate")


def _signature(obj: Object) -> Any:
    return (obj.get("status") or {}).get("certificate") or None


def _conditions(obj: Object) -> list[dict[str, Any]]:
    return list((obj.get("status") or {}).get("conditions") or ())


def _keep_all_but_conditions(obj: Object, old: Object, now: datetime.datetime) -> None:
    wanted = _conditions(obj)
    types = {str(each.get("type")) for each in wanted}
    kept = [each for each in _conditions(old) if str(each.get("type")) not in types | _JUDGEMENTS]
    status = dict(old.get("status") or {})
    obj["status"] = status | {"conditions": _dated(kept + wanted, old, now)}
    types &= _JUDGEMENTS
    before = {str(each.get("type")) for each in _conditions(old)} & _JUDGEMENTS
    if types == _JUDGEMENTS:
        raise _forbidden(obj, "Approved and Denied conditions are mutually exclusive")
    if not before <= types:
        raise _forbidden(
            obj, f"the condition {', '.join(sorted(before - types))} stays once it is set"
        )


def _keep_judgements(obj: Object, old: Object, now: datetime.datetime) -> None:
    kept = [each for each in _conditions(old) if each.get("type") in _JUDGEMENTS]
    wanted = [each for each in _conditions(obj) if each.get("type") not in _JUDGEMENTS]
    conditions = _dated(kept + wanted, old, now)
    status = dict(obj.get("status") or {})
    status.pop("conditions", None)
    obj["status"] = status | ({"conditions": conditions} if conditions else {})


def _dated(
    conditions: list[dict[str, Any]], old: Object, now: datetime.datetime
) -> list[dict[str, Any]]:
    """Return conditions with the times that their writer left out."""
    before = {each.get("type"): each for each in _conditions(old)}
    moment = metadata.format_time(now)
    for each in conditions:
        each.setdefault("status", "True")
        known = before.get(each.get("type"))
        changed = known is None or known.get("status") != each["status"]
        if not each.get("lastUpdateTime"):
            each["lastUpdateTime"] = moment
        if not each.get("lastTransitionTime"):
            each["lastTransitionTime"] = moment if changed else (known or {})["lastTransitionTime"]
    return conditions


def _forbidden(obj: Object, why: str) -> errors.ForbiddenError:
    resource = kinds.CERTIFICATE_SIGNING_REQUESTS
    return errors.forbidden(resource.plural, metadata.name(obj), why, resource.group)
