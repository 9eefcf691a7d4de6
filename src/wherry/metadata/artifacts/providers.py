"""How object stores are reached: upstream's ConfigMap ``kfp-launcher``, the root's query, the environment. Pure.

Source: ``backend/src/v2/config/{env,s3,minio,gcs}.go`` of kubeflow/pipelines. Keys are never here, only
the names of the Secrets that hold them.
"""

import json
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from wherry.metadata.artifacts import defaults, uris
from wherry.objects.requests import Object

CONFIG_MAP: Final = "kfp-launcher"
"""Name of the ConfigMap, in the namespace of a run."""
Keys = Mapping[str, Mapping[str, str]]
"""Values of Secrets, decoded: by the Secret's name and the key in it."""

_ROOT, _PROVIDERS = "defaultPipelineRoot", "providers"
_VARIABLE: Final = "WHERRY_ARTIFACT_STORES"
_KEY_VARIABLE: Final = "WHERRY_ARTIFACT_KEY_"
_SCHEMES: Final = ("s3", "minio", "gs")
_SETTINGS: Final = {
    "endpoint": str,
    "region": str,
    "disableSSL": bool,
    "forcePathStyle": bool,
    "maxRetries": int,
}
_MATCHED: Final = {"bucketName": str, "keyPrefix": str}
_REFERENCES: Final = ("sessionToken", "ca")
_CREATE, _LOCKING = "createBucket", "objectLocking"
_ENCRYPTION: Final = ("ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext")
Reference = tuple[str, str]
"""Name of a Secret and a key in it."""


class ProvidersError(ValueError):
    """The settings cannot be read; the message names the field and what is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """How one bucket is reached.

    Attributes:
        endpoint: Host and port of the server, or its URL; empty: the cloud's own.
        region: Of S3.
        insecure: The server speaks plain HTTP, where the endpoint does not say.
        path_style: The bucket stands in the path, not in the host's name.
        retries: How often a request is tried again.
        secret: Name of the Secret with the keys; empty: the environment has them.
        access_key: Under which key of it the access key is (S3).
        secret_key: Under which key of it the secret key is (S3).
        token_key: Under which key of it the account's JSON is (GCS).
        session_token: Where the token of temporary keys is (S3); None: they are not temporary.
        ca: Where the certificate is that is trusted, instead of the usual ones (S3); None: these.
        encryption: What is asked of S3 for each object that is written, by the API's names.
        create_bucket: The bucket is made before something is written to it, if it is not there (S3).
        object_locking: Objects in a bucket that is made so can be locked (S3).
    """

    endpoint: str = ""
    region: str = ""
    insecure: bool = False
    path_style: bool = True
    retries: int = 5
    secret: str = ""
    access_key: str = ""
    secret_key: str = ""
    token_key: str = ""
    session_token: Reference | None = None
    ca: Reference | None = None
    encryption: tuple[tuple[str, str], ...] = ()
    create_bucket: bool = False
    object_locking: bool = False

    @property
    def url(self) -> str:
        """The endpoint as a URL; empty: the cloud's own."""
        if not self.endpoint or "://" in self.endpoint:
            return self.endpoint
        return f"http{'' if self.insecure else 's'}://{self.endpoint}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Which keys of the Secret are needed."""
        named = (self.access_key, self.secret_key, self.token_key)
        return tuple(key for key in named if key) if self.secret else ()

    @property
    def references(self) -> tuple[Reference, ...]:
        """All that is needed of Secrets."""
        own = [(self.secret, key) for key in self.keys]
        return (*own, *(each for each in (self.session_token, self.ca) if each is not None))


_MINIO: Final = Provider(
    endpoint="minio-service.kubeflow:9000",
    region="minio",
    insecure=True,
    secret=defaults.SECRET,
    access_key="accesskey",
    secret_key="secretkey",  # noqa: S106 - a name too
)
"""Of ``minio://`` where nothing else is said."""


class Providers:
    """How every bucket is reached."""

    def __init__(self, config: Mapping[str, str], root: str = "") -> None:
        """Read a ConfigMap.

        Args:
            config: Its data: ``defaultPipelineRoot``, ``providers`` (YAML); both may be missing.
            root: Pipeline root of the run. What its query says (``endpoint``, ``region``,
                ``disableSSL``, ``s3ForcePathStyle``) holds for all of its bucket.

        Raises:
            ProvidersError: ``providers`` or the query is not as it should be.
        """
        self._config = {key: config[key] for key in (_ROOT, _PROVIDERS) if config.get(key)}
        self._root = root
        self._said = _read(self._config.get(_PROVIDERS, ""))
        self._query = _of_query(root)

    @property
    def default_root(self) -> str:
        """The pipeline root of runs that name none; empty: it names none either."""
        return self._config.get(_ROOT, "")

    def of(self, uri: str) -> Provider:
        """Return how the bucket of a URI is reached.

        Raises:
            UriError: it is no URI of an artifact.
            ProvidersError: what is said of its provider lacks something.
        """
        parsed = uris.parse(uri)
        root = self._root.partition("?")[0]
        if self._query is not None and f"{root}/".startswith(f"{parsed.scheme}://{parsed.place}/"):
            return self._query
        said = self._said.get(parsed.scheme)
        if not said:
            return _MINIO if parsed.scheme == "minio" else Provider()
        return _chosen(said, parsed)

    def secrets(self, wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the keys that are needed of each Secret to reach URIs."""
        found: dict[str, dict[str, None]] = {}
        for uri in wanted:
            if not uris.is_direct(uri):
                for name, key in self.of(uri).references:
                    found.setdefault(name, {})[key] = None
        return {name: tuple(keys) for name, keys in found.items()}

    def variables(self, wanted: Iterable[str]) -> list[Object]:
        """Return the variables (``env`` of a container) that let its program reach URIs.

        Keys are references to Secrets, never values. What the pod's own environment gives, such as
        ``AWS_ACCESS_KEY_ID``, is left alone. The program's side is `from_environment`.
        """
        needed = [(name, key) for name, keys in self.secrets(wanted).items() for key in keys]
        told = {"config": self._config, "root": self._root, "keys": needed}
        references = [
            {
                "name": f"{_KEY_VARIABLE}{number}",
                "valueFrom": {"secretKeyRef": {"name": name, "key": key}},
            }
            for number, (name, key) in enumerate(needed)
        ]
        return [{"name": _VARIABLE, "value": json.dumps(told)}, *references]


def from_environment(environment: Mapping[str, str]) -> tuple[Providers, Keys]:
    """Return what `Providers.variables` has put into a container's environment; nothing: the defaults."""
    told = json.loads(environment.get(_VARIABLE) or "{}")
    keys: dict[str, dict[str, str]] = {}
    for number, (name, key) in enumerate(told.get("keys", ())):
        keys.setdefault(name, {})[key] = environment.get(f"{_KEY_VARIABLE}{number}", "")
    return Providers(told.get("config", {}), told.get("root", "")), keys


def _of_query(root: str) -> Provider | None:
    query = root.partition("?")[2]
    if not query:
        return None
    said = {name: values[-1] for name, values in urllib.parse.parse_qs(query).items()}
    return Provider(
        endpoint=said.get("endpoint", ""),
        region=said.get("region", ""),
        insecure=said.get("disableSSL", "").lower() in ("true", "1"),
        path_style=said.get("s3ForcePathStyle", "true").lower() in ("true", "1"),
    )


def _read(text: str) -> Mapping[str, Any]:
    if not text:
        return {}
    import yaml  # noqa: PLC0415 - large, and rarely needed

    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ProvidersError(f"{CONFIG_MAP}: {_PROVIDERS} is no YAML: {error}") from error
    if said is None:
        return {}
    _check(said, _PROVIDERS, dict, "an object")
    for scheme, provider in said.items():
        if scheme not in _SCHEMES:
            accepted = ", ".join(_SCHEMES)
            raise ProvidersError(f"{CONFIG_MAP}: {_PROVIDERS}.{scheme}: there are {accepted}")
        _check_provider(provider or {}, f"{_PROVIDERS}.{scheme}")
    return {scheme: provider for scheme, provider in said.items() if provider}


def _check_provider(provider: Any, where: str) -> None:
    _check(provider, where, dict, "an object")
    for name, value in provider.items():
        field = f"{where}.{name}"
        if name == "default":
            _check_one(value, field)
        elif name in ("overrides", "Overrides"):
            _check(value, field, list, "a list")
            for at, one in enumerate(value):
                _check_one(one, f"{field}[{at}]")
        else:
            raise ProvidersError(f"{CONFIG_MAP}: {field}: there are default and overrides")
    if "default" not in provider:
        raise ProvidersError(f"{CONFIG_MAP}: {where}.default is missing")


def _check_one(said: Any, where: str) -> None:
    _check(said, where, dict, "an object")
    for name, value in said.items():
        if name == "credentials":
            continue
        if name in _REFERENCES or name == "encryption":
            _check_texts(value, f"{where}.{name}", name)
            continue
        if name == _CREATE:
            _check_new(value, f"{where}.{name}")
            continue
        kind = {**_SETTINGS, **_MATCHED}.get(name)
        if kind is None:
            known = ", ".join(
                [*_SETTINGS, *_MATCHED, *_REFERENCES, _CREATE, "encryption", "credentials"]
            )
            raise ProvidersError(f"{CONFIG_MAP}: {where}.{name}: there are {known}")
        _check(value, f"{where}.{name}", kind, f"a {kind.__name__}")
    credentials = said.get("credentials")
    _check(credentials, f"{where}.credentials", dict, "an object with fromEnv or secretRef")
    if not credentials.get("fromEnv"):
        reference = f"{where}.credentials.secretRef"
        _check(credentials.get("secretRef"), reference, dict, "an object, or fromEnv: true")
        _check(credentials["secretRef"].get("secretName"), f"{reference}.secretName", str, "a text")


def _check_texts(said: Any, where: str, name: str) -> None:
    _check(said, where, dict, "an object")
    needed = ("secretName", "key") if name in _REFERENCES else _ENCRYPTION[:1]
    accepted = needed if name in _REFERENCES else _ENCRYPTION
    for field in {*needed, *said}:
        if field not in accepted:
            raise ProvidersError(f"{CONFIG_MAP}: {where}.{field}: there are {', '.join(accepted)}")
        _check(said.get(field), f"{where}.{field}", str, "a text")


def _check_new(said: Any, where: str) -> None:
    _check(said, where, dict, "an object")
    for field, value in said.items():
        if field != _LOCKING:
            raise ProvidersError(f"{CONFIG_MAP}: {where}.{field}: there is {_LOCKING}")
        _check(value, f"{where}.{field}", bool, "a bool")


def _check(value: Any, where: str, kind: type, wanted: str) -> None:
    if not isinstance(value, kind):
        raise ProvidersError(f"{CONFIG_MAP}: {where} is {value!r}; want {wanted}")


def _chosen(said: Mapping[str, Any], uri: uris.Uri) -> Provider:
    found = _with(Provider(), said["default"])
    for override in said.get("overrides") or said.get("Overrides") or ():
        prefix = override.get("keyPrefix", "")
        if override.get("bucketName") == uri.place and uri.path.startswith(prefix):
            return _with(found, override)
    return found


def _with(provider: Provider, said: Mapping[str, Any]) -> Provider:
    """Return a provider with what a part of the settings says of it."""
    reference = said["credentials"].get("secretRef") or {}
    if said["credentials"].get("fromEnv"):
        reference = {}
    given: dict[str, Any] = {
        "endpoint": said.get("endpoint"),
        "region": said.get("region"),
        "insecure": said.get("disableSSL"),
        "path_style": said.get("forcePathStyle"),
        "retries": said.get("maxRetries"),
        "ca": _reference(said.get("ca")),
        "encryption": tuple(said["encryption"].items()) if "encryption" in said else None,
        "create_bucket": True if _CREATE in said else None,
        "object_locking": said[_CREATE].get(_LOCKING) if _CREATE in said else None,
    }
    return replace(
        provider,
        **{name: value for name, value in given.items() if value not in (None, "")},
        secret=reference.get("secretName", ""),
        access_key=reference.get("accessKeyKey", ""),
        secret_key=reference.get("secretKeyKey", ""),
        token_key=reference.get("tokenKey", ""),
        # It belongs to the keys that are named here.
        session_token=_reference(said.get("sessionToken")),
    )


def _reference(said: Mapping[str, str] | None) -> Reference | None:
    return (said["secretName"], said["key"]) if said is not None else None
