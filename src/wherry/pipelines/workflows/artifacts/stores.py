"""How the stores of locations are reached: in the words that stages of pipelines know already. Pure."""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wherry.metadata.artifacts.providers import CONFIG_MAP, Providers, ProvidersError
from wherry.objects.requests import Object
from wherry.pipelines.controller.roots import Root
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows.artifacts import one_document
from wherry.pipelines.workflows.artifacts.locations import STORES, Location

_PROVIDERS: Final = "providers"
_SCHEMES: Final = {"s3": "s3", "gcs": "gs"}
_FROM_ENVIRONMENT: Final = {"fromEnv": True}
_ENCRYPTION: Final = "ServerSideEncryption"


def providers(root: Root, locations: Iterable[Location]) -> Providers:
    """Return how the root's store and those of locations are reached.

    Raises:
        StepError: what is said of one cannot be read, or two say different things of one place.
    """
    said = _of_root(root)
    for location in locations:
        for kind in STORES:
            if location.get(kind) is not None:
                _add(said.setdefault(_SCHEMES[kind], {}), _override(kind, location[kind]))
    return _made(root, said, root.uri)


def of_bucket(root: Root, location: Location) -> Providers:
    """Return how everything in the bucket of a location is reached, as that says.

    Args:
        root: Where artifacts go that name no store.
        location: In a store; empty: what is below the root is meant.

    Raises:
        StepError: what is said of it cannot be read.
    """
    if not any(location.get(each) is not None for each in STORES):
        return providers(root, ())
    return _made(root, _of_place(root, location), "")


def config_of_bucket(root: Root, location: Location) -> dict[str, str]:
    """Return how everything in the bucket of a location is reached, in the words of the ConfigMap.

    Raises:
        StepError: what is said of it cannot be read.
    """
    return _config(root, _of_place(root, location))


def _of_place(root: Root, location: Location) -> dict[str, dict[str, Any]]:
    kind = next(each for each in STORES if location.get(each) is not None)
    said = _of_root(root)
    place = {**_override(kind, location[kind]), "keyPrefix": ""}
    said[_SCHEMES[kind]] = {
        "overrides": [place],
        **{name: each for name, each in said.get(_SCHEMES[kind], {}).items() if name == "default"},
    }
    return said


def _config(root: Root, said: dict[str, dict[str, Any]]) -> dict[str, str]:
    for each in said.values():
        each.setdefault("default", {"credentials": _FROM_ENVIRONMENT})
    return {**root.config, _PROVIDERS: json.dumps(said)} if said else {**root.config}


def _made(root: Root, said: dict[str, dict[str, Any]], uri: str) -> Providers:
    try:
        return Providers(_config(root, said), uri)
    except ProvidersError as error:
        raise StepError(str(error)) from error


def _of_root(root: Root) -> dict[str, Any]:
    text = root.config.get(_PROVIDERS, "")
    said = one_document.read(text, f"ConfigMap {CONFIG_MAP}: {_PROVIDERS}") or {}
    if not isinstance(said, dict) or not all(isinstance(each, dict) for each in said.values()):
        raise StepError(f"ConfigMap {CONFIG_MAP}: {_PROVIDERS} is no object of objects")
    return {scheme: dict(each) for scheme, each in said.items()}


def _add(provider: dict[str, Any], override: Object) -> None:
    present: list[Object] = [*(provider.get("overrides") or provider.pop("Overrides", None) or ())]
    if override in present:
        return
    place = ("bucketName", "keyPrefix")
    if any(all(each.get(name) == override[name] for name in place) for each in present):
        raise StepError(
            f"artifact {override['keyPrefix']!r} of bucket {override['bucketName']!r} is given "
            "twice in one pod, with different endpoints or credentials"
        )
    # The longer key is the more precise one, and the first that fits counts.
    present.append(override)
    provider["overrides"] = sorted(present, key=lambda each: -len(each.get("keyPrefix", "")))


def _override(kind: str, store: Mapping[str, Any]) -> Object:
    made: Object = {"bucketName": str(store["bucket"]), "keyPrefix": str(store.get("key") or "")}
    if kind == "gcs":
        secret = store.get("serviceAccountKeySecret")
        return made | {"credentials": _of_account(secret) if secret else _FROM_ENVIRONMENT}
    if store.get("endpoint"):
        made["endpoint"] = str(store["endpoint"])
    if store.get("region"):
        made["region"] = str(store["region"])
    made["disableSSL"] = bool(store.get("insecure"))
    made["forcePathStyle"] = store.get("addressingStyle") != "virtual-hosted"
    made["credentials"] = _of_keys(store)
    if store.get("sessionTokenSecret") and "secretRef" in made["credentials"]:
        made["sessionToken"] = _reference(store["sessionTokenSecret"])
    if store.get("caSecret"):
        made["ca"] = _reference(store["caSecret"])
    encryption = _encryption(store.get("encryptionOptions") or {})
    if encryption:
        made["encryption"] = encryption
    if store.get("createBucketIfNotPresent") is not None:
        made["createBucket"] = _new_bucket(store["createBucketIfNotPresent"])
    return made


def _reference(secret: Mapping[str, Any]) -> Object:
    return {"secretName": str(secret["name"]), "key": str(secret["key"])}


def _encryption(told: Mapping[str, Any]) -> Object:
    """Return what S3 is asked for; as upstream, nothing where it is not enabled."""
    where = "s3.encryptionOptions"
    if not told.get("enableEncryption"):
        return {}
    if told.get("serverSideCustomerKeySecret"):
        raise StepError(
            f"{where}.serverSideCustomerKeySecret is not supported: each object would have a key of "
            "its own, which is made from that; there are kmsKeyId, and keys of the store"
        )
    if not told.get("kmsKeyId"):
        return {_ENCRYPTION: "AES256"}
    made: Object = {_ENCRYPTION: "aws:kms", "SSEKMSKeyId": str(told["kmsKeyId"])}
    context = str(told.get("kmsEncryptionContext") or "")
    if context:
        found = one_document.read(context, f"{where}.kmsEncryptionContext")
        if not isinstance(found, dict):
            raise StepError(f"{where}.kmsEncryptionContext: want a JSON object")
        # The library sends it as it stands, and the API wants it in base64.
        made["SSEKMSEncryptionContext"] = base64.b64encode(json.dumps(found).encode()).decode()
    return made


def _new_bucket(told: Any) -> Object:
    where = "s3.createBucketIfNotPresent"
    locking = told.get("objectLocking", False) if isinstance(told, dict) else None
    if not isinstance(locking, bool):
        raise StepError(f"{where} is {told!r}; want an object, perhaps with objectLocking: true")
    return {"objectLocking": locking}


def _of_account(secret: Mapping[str, Any]) -> Object:
    return {"secretRef": {"secretName": str(secret["name"]), "tokenKey": str(secret["key"])}}


def _of_keys(store: Mapping[str, Any]) -> Object:
    access, secret = store.get("accessKeySecret"), store.get("secretKeySecret")
    if not (access and secret):
        if store.get("roleARN"):
            raise StepError(
                "s3.roleARN is not supported: give the pod's account the role, and say useSDKCreds; "
                "or name the keys"
            )
        return dict(_FROM_ENVIRONMENT)
    if access["name"] != secret["name"]:
        raise StepError(
            f"s3: accessKeySecret is of Secret {access['name']}, secretKeySecret of "
            f"{secret['name']}: put both keys into one Secret"
        )
    named = {
        "secretName": str(access["name"]),
        "accessKeyKey": str(access["key"]),
        "secretKeyKey": str(secret["key"]),
    }
    return {"secretRef": named}
