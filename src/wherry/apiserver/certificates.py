"""The certificate authority of an embedded API server and the files it leaves on disk.

Made once, at the first start, under ``<data>/pki``; every private key is 0600. The names are those
that kubeadm uses, so that a person who knows a cluster finds their way.
"""

import dataclasses
import datetime
import ipaddress
import os
import secrets
import socket
import ssl
import stat
from collections.abc import Collection, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wherry.apiserver.tokens import SigningKeyError, TokenSigner

_AUTHORITY_LIFETIME = datetime.timedelta(days=3650)
_LEAF_LIFETIME = datetime.timedelta(days=365)
_RENEW_BEFORE = datetime.timedelta(days=30)
# Clients whose clock is a little behind must accept a certificate made a moment ago.
_BACKDATE = datetime.timedelta(minutes=5)

_EXTENDED_USAGES = {
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
}


class CertificateError(Exception):
    """A file under ``pki`` cannot be read or does not belong to the others."""


@dataclasses.dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclasses.dataclass(frozen=True)
class Pki:
    """Everything the server and its first user need to know one another.

    Attributes:
        directory: Where the files are.
        authority: Signs all others; clients trust its certificate.
        server: What the server shows, for the addresses it was made for.
        admin: Client certificate of ``kubernetes-admin`` in ``system:masters``.
        signing_key: PEM private key (P-256) that signs service-account tokens.
    """

    directory: Path
    authority: KeyPair
    server: KeyPair
    admin: KeyPair
    signing_key: bytes

    def ssl_context(self) -> ssl.SSLContext:
        """Return the server's TLS settings: TLS 1.2+, client certificates of our CA accepted."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.directory / "apiserver.crt", self.directory / "apiserver.key")
        context.load_verify_locations(cadata=self.authority.certificate.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        context.set_alpn_protocols(["http/1.1"])
        return context


def load_or_create(directory: Path, addresses: Sequence[str], now: datetime.datetime) -> Pki:
    """Return the authority and certificates of ``directory``, making what is not there yet.

    The server's and the administrator's certificates are made anew when they have less than 30 days
    left, are damaged or of another authority; the server's also when ``addresses`` names one that
    it does not cover. The authority's is never replaced: all that clients were given hangs on it.

    Args:
        directory: Created with mode 0700 when missing.
        addresses: Host names and IP addresses by which clients reach the server, besides
            ``localhost``, this machine's name and the names of the ``kubernetes`` service.
        now: Current time, aware.

    Raises:
        CertificateError: a file is unreadable or damaged; the message names it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_private(directory)
    authority = _authority(directory, now)
    wanted = _subject_alternative_names(addresses)
    server = _leaf(directory, "apiserver", authority, now)
    if server is None or not _covers(server, wanted):
        server = _store(directory, "apiserver", _issue_server(authority, wanted, now))
    admin = _leaf(directory, "admin", authority, now)
    if admin is None:
        made = issue_client(authority, "kubernetes-admin", ("system:masters",), now=now)
        admin = _store(directory, "admin", made)
    return Pki(directory, authority, server, admin, _signing_key(directory))


def issue_client(
    authority: KeyPair, name: str, groups: Sequence[str], *, now: datetime.datetime
) -> KeyPair:
    """Return a client certificate; Kubernetes reads CN as the user and each O as a group."""
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = _builder(x509.Name(subject), key, now, _LEAF_LIFETIME).add_extension(
        usage, critical=False
    )
    return _sign(builder, key, authority)


def certify_request(
    authority: KeyPair,
    request: x509.CertificateSigningRequest,
    *,
    usages: Collection[str],
    names: Collection[x509.GeneralName],
    lifetime: datetime.timedelta,
    now: datetime.datetime,
) -> bytes:
    """Return a certificate for the subject and key of a request, PEM.

    Args:
        authority: Signs.
        request: Whose subject and key are taken; nothing else of it is.
        usages: ``client auth``, ``server auth``, ``key encipherment``.
        names: Subject alternative names.
        lifetime: How long it is valid, at most as long as the authority.
        now: Current time, aware.
    """
    ends = x509.load_pem_x509_certificate(authority.certificate).not_valid_after_utc
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(min(now + lifetime, ends))
    )
    extended = [oid for usage, oid in _EXTENDED_USAGES.items() if usage in usages]
    builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _certify(builder, authority, key_encipherment="key encipherment" in usages)


def _authority(directory: Path, now: datetime.datetime) -> KeyPair:
    certificate, key = directory / "ca.crt", directory / "ca.key"
    if not certificate.exists():
        # Also after a first start that was cut off: the key is written first.
        return _store(directory, "ca", _make_authority(now))
    if not key.exists():
        message = (
            f"{key} is missing, but {certificate} is there. Restore it, or remove {certificate} to "
            f"have a new authority made; all kubeconfigs that were given out end then"
        )
        raise CertificateError(message)
    pair = KeyPair(_read(certificate), _read(key))
    try:
        parsed = _matching(pair)
    except ValueError as error:
        message = (
            f"{certificate} or {key} is damaged: {error}. "
            f"Restore them, or remove both to have new ones made"
        )
        raise CertificateError(message) from error
    if parsed.not_valid_after_utc <= now:
        message = f"{certificate} has expired; remove {directory} to have a new authority made"
        raise CertificateError(message)
    _make_private(key)
    return pair


def _leaf(directory: Path, name: str, authority: KeyPair, now: datetime.datetime) -> KeyPair | None:
    """Return a stored certificate that is still good for a while, or None."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    if not certificate.exists() or not key.exists():
        return None
    pair = KeyPair(_read(certificate), _read(key))
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    try:
        parsed = _matching(pair)
        parsed.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return None
    if parsed.not_valid_after_utc - now < _RENEW_BEFORE or now < parsed.not_valid_before_utc:
        return None
    _make_private(key)
    return pair


def _matching(pair: KeyPair) -> x509.Certificate:
    """Return the certificate of a pair whose key is its own.

    Raises:
        ValueError: one of the two is damaged, or they do not belong together.
    """
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    if certificate.public_key() != _private_key(pair.key).public_key():
        raise ValueError("the certificate does not belong to the key")
    return certificate


def _private_key(data: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is not an elliptic-curve key")
    return key


def _signing_key(directory: Path) -> bytes:
    path = directory / "sa.key"
    if not path.exists():
        _write_private(path, _pem_key(ec.generate_private_key(ec.SECP256R1())))
    data = _read(path)
    try:
        TokenSigner(data)
    except SigningKeyError as error:
        message = f"{path}: {error}. Restore it, or remove it: then all tokens given out end"
        raise CertificateError(message) from error
    _make_private(path)
    return data


def _make_authority(now: datetime.datetime) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own for each authority: trust stores confuse two of the same name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"wherry-ca-{secrets.token_hex(4)}")])
    builder = (
        _builder(name, key, now, _AUTHORITY_LIFETIME)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _pem_key(key))


def _issue_server(
    authority: KeyPair, names: Sequence[x509.GeneralName], now: datetime.datetime
) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = (
        _builder(subject, key, now, _LEAF_LIFETIME)
        .add_extension(usage, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return _sign(builder, key, authority)


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + lifetime)
    )


def _sign(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, authority: KeyPair
) -> KeyPair:
    return KeyPair(_certify(builder, authority), _pem_key(key))


def _certify(
    builder: x509.CertificateBuilder, authority: KeyPair, *, key_encipherment: bool = False
) -> bytes:
    """Return a leaf certificate, PEM, signed by the authority."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = _private_key(authority.key)
    public = issuer_key.public_key()
    certificate = (
        builder.issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(key_encipherment=key_encipherment), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_usage(*, sign_certificates: bool = False, key_encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _subject_alternative_names(addresses: Sequence[str]) -> list[x509.GeneralName]:
    names = [
        "localhost",
        socket.gethostname(),
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    found: dict[str, x509.GeneralName] = {}
    for text in [*names, "127.0.0.1", "::1", *addresses]:
        try:
            found[text] = x509.IPAddress(ipaddress.ip_address(text))
        except ValueError:
            # Machines may be called anything; what no certificate can say is left out.
            if text and text.isascii():
                found[text] = x509.DNSName(text)
    return list(found.values())


def _covers(pair: KeyPair, wanted: Sequence[x509.GeneralName]) -> bool:
    extensions = x509.load_pem_x509_certificate(pair.certificate).extensions
    try:
        have = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return set(wanted) <= set(have)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _store(directory: Path, name: str, pair: KeyPair) -> KeyPair:
    _write_private(directory / f"{name}.key", pair.key)
    _write_private(directory / f"{name}.crt", pair.certificate)
    return pair


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}") from error


def _make_private(path: Path) -> None:
    """Take from others what rights they have on a file or folder that was put there by hand."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)


def _write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
