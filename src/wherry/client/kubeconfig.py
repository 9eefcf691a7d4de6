"""Kubeconfig files: read as kubectl reads them, written so that nothing is lost or laid open.

Several files (`KUBECONFIG` is a list) are merged by kubectl's rule: of two entries of one name the
first wins, and so does the first `current-context`. Paths in a file are relative to the file.
"""

import base64
import binascii
import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from wherry.client.connections import ConfigurationError, Connection, in_cluster

DEFAULT = Path("~/.kube/config")

_LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}
_FILES = (
    "certificate-authority",
    "client-certificate",
    "client-key",
    "tokenFile",
)
_LIMIT_BYTES = 10 * 1024 * 1024


def connection(path: Path | None = None, context: str = "") -> Connection:
    """Return the connection to use: of a file, of `KUBECONFIG`, of the pod, of ``~/.kube/config``.

    Args:
        path: The file to read; None looks where kubectl looks.
        context: Which context; empty takes the current one.

    Raises:
        ConfigurationError: there is none, or it is not usable; the message says what to do.
    """
    if path is not None:
        return load([path], context)
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if listed:
        return load(listed, context)
    default = DEFAULT.expanduser()
    pod = in_cluster()
    if pod is not None and not default.is_file():
        return pod
    return load([default], context)


def load(paths: Sequence[Path], context: str = "") -> Connection:
    """Return a context of some kubeconfig files.

    Raises:
        ConfigurationError: no file exists, or the context is missing or incomplete.
    """
    paths = [path.expanduser() for path in paths]
    there = [path for path in paths if path.is_file()]
    names = ", ".join(map(str, paths))
    if not there:
        raise ConfigurationError(
            f"no kubeconfig at {names}; start Wherry with `wherry up`, or name a file with "
            "--kubeconfig or the variable KUBECONFIG"
        )
    merged = _merge([_read(path) for path in there])
    context = context or str(merged.get("current-context") or "")
    if not context:
        raise ConfigurationError(
            f"{names}: no current-context; choose one of {_names(merged, 'contexts')}"
        )
    chosen = _entry(merged, "contexts", context, names)
    cluster = _entry(merged, "clusters", str(chosen.get("cluster", "")), names)
    user = _entry(merged, "users", str(chosen["user"]), names) if chosen.get("user") else {}
    return _connection(f"{names}, context {context}", chosen, cluster, user)


def entry(
    name: str, connection: Connection, *, authority_file: Path | None = None
) -> dict[str, Any]:
    """Return a kubeconfig with one cluster, user and context, all called ``name``.

    Args:
        name: Of all three.
        connection: What it says; certificates are embedded.
        authority_file: Names the CA's file instead of embedding it.
    """
    cluster: dict[str, Any] = {"server": connection.server}
    if authority_file is not None:
        cluster["certificate-authority"] = str(authority_file)
    elif connection.certificate_authority is not None:
        cluster["certificate-authority-data"] = _encode(connection.certificate_authority)
    if connection.tls_server_name:
        cluster["tls-server-name"] = connection.tls_server_name
    if connection.insecure_skip_tls_verify:
        cluster["insecure-skip-tls-verify"] = True
    user: dict[str, Any] = {}
    if connection.client_certificate is not None and connection.client_key is not None:
        user["client-certificate-data"] = _encode(connection.client_certificate)
        user["client-key-data"] = _encode(connection.client_key)
    if connection.token_file is not None:
        user["tokenFile"] = str(connection.token_file)
    elif connection.token:
        user["token"] = connection.token
    context = {"cluster": name, "user": name, "namespace": connection.namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }


def write(path: Path, config: Mapping[str, Any], *, merge: bool = False) -> None:
    """Write a kubeconfig, at once and readable by its owner only.

    Args:
        path: Where; folders are made.
        config: As `entry` makes it.
        merge: Put the entries into the file that is there, replacing those of the same names and
            keeping everything else; its current context becomes the new one.

    Raises:
        ConfigurationError: without ``merge`` the file exists and holds other contexts, or with it
            the file cannot be read.
    """
    path = path.expanduser()
    # A link, as dot-file managers make, stays one: its target is replaced.
    target = path.resolve()
    present = _read(target) if target.is_file() else {}
    if present and not merge:
        ours = {item["name"] for item in config["contexts"]}
        others = {str(item.get("name")) for item in present.get("contexts") or []} - ours
        if others:
            raise ConfigurationError(
                f"{path} holds other contexts ({', '.join(sorted(others))}); write to another "
                "file, or ask for them to be merged"
            )
        present = {}
    merged = {**present, **_merge([config, present])} if present else dict(config)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _replace(target, yaml.safe_dump(merged, sort_keys=False))


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise ConfigurationError(f"{path}: larger than {_LIMIT_BYTES} bytes; not a kubeconfig")
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: cannot be read as a kubeconfig: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: a kubeconfig is a map, not a {type(document).__name__}")
    for plural, singular in _LISTS.items():
        items = document.get(plural) or []
        if not isinstance(items, list) or not all(_is_entry(item, singular) for item in items):
            raise ConfigurationError(
                f"{path}: {plural} must be a list of {{name, {singular}}} entries"
            )
        for item in items:
            _make_absolute(item.get(singular) or {}, path.parent)
    return document


def _is_entry(item: Any, singular: str) -> bool:
    return isinstance(item, dict) and "name" in item and isinstance(item.get(singular), dict | None)


def _make_absolute(fields: dict[str, Any], directory: Path) -> None:
    for name in _FILES:
        if fields.get(name):
            fields[name] = str(directory / Path(fields[name]).expanduser())


def _merge(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config"}
    for plural in _LISTS:
        named: dict[str, Any] = {}
        for document in documents:
            for item in document.get(plural) or []:
                named.setdefault(str(item["name"]), item)
        merged[plural] = [*named.values()]
    current = (document.get("current-context") for document in documents)
    merged["current-context"] = next(filter(None, current), "")
    return merged


def _names(merged: Mapping[str, Any], plural: str) -> str:
    return ", ".join(str(item["name"]) for item in merged[plural]) or "none"


def _entry(merged: Mapping[str, Any], plural: str, name: str, source: str) -> dict[str, Any]:
    for item in merged[plural]:
        if item["name"] == name:
            return dict(item.get(_LISTS[plural]) or {})
    raise ConfigurationError(f"{source}: {plural} has no {name!r}; it has {_names(merged, plural)}")


def _connection(
    source: str, context: Mapping[str, Any], cluster: Mapping[str, Any], user: Mapping[str, Any]
) -> Connection:
    unsupported = {"exec", "auth-provider"} & user.keys()
    if unsupported:
        raise ConfigurationError(
            f"{source}: user.{unsupported.pop()} is not supported; use a token or a client "
            "certificate, e.g. of a ServiceAccount (`kubectl create token NAME`)"
        )
    token_file = user.get("tokenFile")
    return Connection(
        server=str(cluster.get("server", "")).rstrip("/"),
        namespace=str(context.get("namespace") or "default"),
        certificate_authority=_pem(source, cluster, "certificate-authority"),
        client_certificate=_pem(source, user, "client-certificate"),
        client_key=_pem(source, user, "client-key"),
        token=str(user.get("token") or ""),
        token_file=Path(token_file) if token_file else None,
        username=str(user.get("username") or ""),
        password=str(user.get("password") or ""),
        tls_server_name=str(cluster.get("tls-server-name") or ""),
        insecure_skip_tls_verify=cluster.get("insecure-skip-tls-verify") is True,
        source=source,
    )


def _pem(source: str, fields: Mapping[str, Any], name: str) -> bytes | None:
    data, file = fields.get(f"{name}-data"), fields.get(name)
    try:
        if data:
            return base64.b64decode(data, validate=True)
        return Path(file).read_bytes() if file else None
    except (OSError, binascii.Error, ValueError, TypeError) as error:
        raise ConfigurationError(f"{source}: {name} cannot be read: {error}") from error


def _encode(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def _replace(path: Path, text: str) -> None:
    # mkstemp makes files with mode 0600; the rename keeps it.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
