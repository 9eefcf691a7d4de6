"""The files below `pki`: made once, kept secret, renewed, and refused when they are damaged."""

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wherry.apiserver import certificates
from wherry.apiserver.certificates import CertificateError, KeyPair, load_or_create

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
FILES = ("ca.crt", "ca.key", "apiserver.crt", "apiserver.key", "admin.crt", "admin.key", "sa.key")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    load_or_create(tmp_path / "pki", ("10.0.0.7",), NOW)
    return tmp_path / "pki"


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def changed(folder: Path, before: dict[str, bytes]) -> set[str]:
    return {name for name, data in contents(folder).items() if data != before[name]}


def parsed(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def test_everything_is_for_its_owner_only(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_rights_that_others_were_given_are_taken_back(folder: Path) -> None:
    folder.chmod(0o755)
    for name in FILES:
        (folder / name).chmod(0o644)
    load_or_create(folder, (), NOW)
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("ca.key", "apiserver.key", "admin.key", "sa.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_a_second_start_changes_nothing(folder: Path) -> None:
    before = contents(folder)
    load_or_create(folder, ("10.0.0.7",), NOW + datetime.timedelta(days=300))
    assert changed(folder, before) == set()


def test_leaves_are_renewed_before_they_end_and_the_authority_stays(folder: Path) -> None:
    before = contents(folder)
    pki = load_or_create(folder, ("10.0.0.7",), NOW + datetime.timedelta(days=336))
    assert changed(folder, before) == {
        *("apiserver.crt", "apiserver.key", "admin.crt", "admin.key"),
    }
    for pair in (pki.server, pki.admin):
        assert parsed(pair).not_valid_after_utc > NOW + datetime.timedelta(days=700)
        parsed(pair).verify_directly_issued_by(parsed(pki.authority))


def test_a_new_address_renews_the_server_alone(folder: Path) -> None:
    before = contents(folder)
    pki = load_or_create(folder, ("10.0.0.8", "wherry.example"), NOW)
    assert changed(folder, before) == {"apiserver.crt", "apiserver.key"}
    names = parsed(pki.server).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ipaddress.ip_address("10.0.0.8") in names.get_values_for_type(x509.IPAddress)
    assert {
        *("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
        *("kubernetes.default.svc.cluster.local", "wherry.example"),
    } <= set(names.get_values_for_type(x509.DNSName))
    assert {ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")} <= set(
        names.get_values_for_type(x509.IPAddress)
    )


def test_machines_with_odd_names_can_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "rechner-müller"):
        monkeypatch.setattr("socket.gethostname", lambda name=name: name)
        load_or_create(folder, ("10.0.0.9",), NOW)


def test_usages(folder: Path) -> None:
    pki = load_or_create(folder, (), NOW)
    for pair, usage in (
        (pki.server, ExtendedKeyUsageOID.SERVER_AUTH),
        (pki.admin, ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        extensions = parsed(pair).extensions
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
        assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    authority = parsed(pki.authority).extensions.get_extension_for_class(x509.BasicConstraints)
    assert authority.critical
    assert authority.value.path_length == 0


def test_the_administrators_name_and_group(folder: Path) -> None:
    subject = parsed(load_or_create(folder, (), NOW).admin).subject
    assert [each.value for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [
        "kubernetes-admin"
    ]
    assert [each.value for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == [
        "system:masters"
    ]


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "sa.key"])
@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff\x00"], ids=["empty", "text", "bytes"])
def test_what_cannot_be_replaced_is_refused_when_damaged(
    folder: Path, name: str, data: bytes
) -> None:
    (folder / name).write_bytes(data)
    before = contents(folder)
    with pytest.raises(CertificateError, match=name.replace(".", r"\.")) as caught:
        load_or_create(folder, (), NOW)
    assert "remove" in str(caught.value)
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["apiserver.crt", "apiserver.key", "admin.crt", "admin.key"])
def test_leaves_are_made_anew_when_damaged(folder: Path, name: str) -> None:
    before = contents(folder)
    for damage in (b"", b"nonsense", None):
        if damage is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(damage)
        pki = load_or_create(folder, (), NOW)
        parsed(pki.server).verify_directly_issued_by(parsed(pki.authority))
        parsed(pki.admin).verify_directly_issued_by(parsed(pki.authority))
    stem = name.partition(".")[0]
    assert changed(folder, before) == {f"{stem}.crt", f"{stem}.key"}


def test_a_renewal_that_was_cut_off_between_its_two_files_is_repeated(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "apiserver.key").write_bytes(pem(key))
    pki = load_or_create(folder, (), NOW)
    private = serialization.load_pem_private_key(pki.server.key, None)
    assert parsed(pki.server).public_key() == private.public_key()


def test_leaves_of_an_earlier_authority_are_made_anew(folder: Path) -> None:
    (folder / "ca.crt").unlink()
    (folder / "ca.key").unlink()
    pki = load_or_create(folder, (), NOW)
    for pair in (pki.server, pki.admin):
        parsed(pair).verify_directly_issued_by(parsed(pki.authority))


def test_a_key_of_the_authority_that_is_missing_is_not_made_up(folder: Path) -> None:
    (folder / "ca.key").unlink()
    with pytest.raises(CertificateError, match=r"ca\.key is missing"):
        load_or_create(folder, (), NOW)


def test_a_first_start_that_was_cut_off_is_repeated(folder: Path) -> None:
    for name in FILES:
        if name != "ca.key":
            (folder / name).unlink()
    pki = load_or_create(folder, (), NOW)
    parsed(pki.server).verify_directly_issued_by(parsed(pki.authority))


def test_keys_that_do_not_belong_together(folder: Path, tmp_path: Path) -> None:
    load_or_create(tmp_path / "other", (), NOW)
    (folder / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(CertificateError, match="does not belong"):
        load_or_create(folder, (), NOW)


def test_an_authority_that_has_expired(folder: Path) -> None:
    with pytest.raises(CertificateError, match="has expired"):
        load_or_create(folder, (), NOW + datetime.timedelta(days=3651))


@pytest.mark.parametrize("kind", ["rsa", "p384", "password"])
def test_keys_of_another_kind_do_not_sign_tokens(folder: Path, kind: str) -> None:
    password = b"secret" if kind == "password" else None
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
    else:
        key = ec.generate_private_key(ec.SECP384R1() if kind == "p384" else ec.SECP256R1())
    (folder / "sa.key").write_bytes(pem(key, password))
    with pytest.raises(CertificateError, match=r"sa\.key"):
        load_or_create(folder, (), NOW)


def test_two_authorities_have_two_names(tmp_path: Path) -> None:
    names = {
        parsed(load_or_create(tmp_path / str(number), (), NOW).authority).subject
        for number in range(2)
    }
    assert len(names) == 2


def test_an_issued_client_certificate_has_its_groups(folder: Path) -> None:
    pki = load_or_create(folder, (), NOW)
    pair = certificates.issue_client(pki.authority, "ada", ("one", "two"), now=NOW)
    found = parsed(pair).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [each.value for each in found] == ["one", "two"]


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes | None = None
) -> bytes:
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        protection = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )
