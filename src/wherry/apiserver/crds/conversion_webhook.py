"""Conversion by a webhook: one `ConversionReview` there and back for all objects of an answer.

Source: `pkg/apiserver/conversion/webhook_converter.go` of apiextensions-apiserver.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from wherry.apiserver import conversions, object_meta
from wherry.apiserver.admission.webhook_client import WebhookCallError, WebhookClient
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.objects.schemas import Schema

VERSIONS: Final = ("v1", "v1beta1")
"""The versions of `ConversionReview` that are spoken."""
_GROUP: Final = "apiextensions.k8s.io"
_SECONDS: Final = 30
_MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""What one review carries; a list that is longer is asked about in parts."""
_MAX_ANSWER_BYTES: Final = 4 * _MAX_REQUEST_BYTES


class ConversionWebhook:
    """Asks the webhook of one definition.

    Args:
        conversion: `spec.conversion` of the definition, its strategy `Webhook`.
        schemas: Of the definition's versions, by `apiVersion`: what they do not know is dropped.
        client: Calls.
    """

    def __init__(
        self,
        conversion: Mapping[str, Any],
        schemas: Mapping[str, Callable[[], Schema]],
        client: WebhookClient,
    ) -> None:
        webhook = conversion["webhook"]
        spoken = webhook.get("conversionReviewVersions") or VERSIONS
        self._config = webhook.get("clientConfig") or {}
        self._version = next((each for each in spoken if each in VERSIONS), VERSIONS[0])
        self._schemas = schemas
        self._client = client

    async def convert(self, objs: Sequence[Object], api_version: str) -> list[Object]:
        """Return the objects in another version, as the webhook gives it.

        Raises:
            InternalError: It cannot be reached in time, refuses, or changes what it may not.
            BadRequestError: What came back nests too deep.
        """
        found: list[Object] = []
        for part in _parts(objs):
            try:
                converted = await self._asked(part, api_version)
            except WebhookCallError as error:
                raise errors.InternalError(
                    f"conversion webhook for {_type(part[0])} failed: {error}"
                ) from error
            found += _judged(part, converted, api_version)
        # A version that is being dropped from the definition may still be in managedFields.
        if (schema := self._schemas.get(api_version)) is not None:
            for obj in found:
                schema().prune(obj)
        return found

    async def _asked(self, objs: Sequence[Object], api_version: str) -> list[Any]:
        uid = str(uuid.uuid4())
        request = {"uid": uid, "desiredAPIVersion": api_version, "objects": list(objs)}
        review = {
            "kind": "ConversionReview",
            "apiVersion": f"{_GROUP}/{self._version}",
            "request": request,
        }
        answer = await self._client.post(
            self._config, review, _SECONDS, max_bytes=_MAX_ANSWER_BYTES
        )
        return self._converted(answer, uid)

    def _converted(self, answer: Mapping[str, Any], uid: str) -> list[Any]:
        wanted, given = f"{_GROUP}/{self._version}", f"{answer.get('apiVersion')!s:.100}"
        kind = f"{answer.get('kind')!s:.100}"
        strict = self._version == "v1"
        if strict and (given, kind) != (wanted, "ConversionReview"):
            raise WebhookCallError(
                f"expected webhook response of {wanted}, Kind=ConversionReview, got {given}, Kind={kind}"
            )
        response = answer.get("response")
        if not isinstance(response, dict):
            raise WebhookCallError("no response provided")
        if strict and response.get("uid") != uid:
            got = f"{response.get('uid')!s:.100}"
            raise WebhookCallError(f'expected response.uid="{uid}", got "{got}"')
        result = response.get("result")
        status = result.get("status") if isinstance(result, dict) else None
        if status != "Success":
            message = result.get("message") if isinstance(result, dict) else ""
            why = f"response.result.status was '{status or ''!s:.100}', not 'Success'"
            raise WebhookCallError(str(message or why))
        listed = response.get("convertedObjects")
        return listed if isinstance(listed, list) else []


def _parts(objs: Sequence[Object]) -> Iterator[Sequence[Object]]:
    """Yield the objects in parts that one review can carry."""
    part: list[Object] = []
    size = 0
    for obj in objs:
        length = len(orjson.dumps(obj))
        if part and size + length > _MAX_REQUEST_BYTES:
            yield part
            part, size = [], 0
        part.append(obj)
        size += length
    if part:
        yield part


def _type(obj: Object) -> str:
    return f"{obj['apiVersion']}, Kind={obj['kind']}"


def _judged(objs: Sequence[Object], converted: Sequence[Any], api_version: str) -> list[Object]:
    """Return what came back, with the metadata that a webhook cannot change.

    Raises:
        InternalError: It is not what was asked for.
    """
    who = f"conversion webhook for {_type(objs[0])} returned"
    if len(converted) != len(objs):
        raise errors.InternalError(f"{who} {len(converted)} objects, expected {len(objs)}")
    found: list[Object] = []
    for index, (before, after) in enumerate(zip(objs, converted, strict=True)):
        if why := next(_faults(before, after, api_version), ""):
            raise errors.InternalError(f"{who} invalid converted object at index {index}: {why}")
        metadata = conversions.same_metadata(before["metadata"], after["metadata"])
        if causes := object_meta.check_words(metadata):
            why = "; ".join(f"{cause.field}: {cause.message}" for cause in causes)
            raise errors.InternalError(f"{who} invalid metadata in object at index {index}: {why}")
        body = after | {"metadata": metadata}
        found.append(conversions.typed(body, api_version, str(before["kind"])))
    return found


def _faults(before: Object, after: Any, api_version: str) -> Iterator[str]:
    """Yield what is wrong with a converted object."""
    if not isinstance(after, dict):
        yield "it is no object"
        return
    version, kind = after.get("apiVersion"), after.get("kind")
    if version != api_version:
        yield f"invalid groupVersion (expected {api_version}, received {version!s:.260})"
    if kind != before["kind"]:
        yield f"invalid kind (expected {before['kind']}, received {kind!s:.260})"
    metadata = after.get("metadata")
    if not isinstance(metadata, dict):
        yield "missing metadata in converted object"
        return
    for name, word in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        was, now = before["metadata"].get(name) or "", metadata.get(name) or ""
        if was != now:
            yield f"must have the same {word}: {was} != {now!s:.260}"
    for name in conversions.CHANGEABLE:
        yield from _untexted(name, metadata.get(name))


def _untexted(name: str, texts: Any) -> Iterator[str]:
    if texts is None:
        return
    if not isinstance(texts, dict):
        yield f"metadata.{name} must be an object of strings"
        return
    for key, value in texts.items():
        if not isinstance(value, str):
            yield f"metadata.{name}[{key:.260}] must be a string"
