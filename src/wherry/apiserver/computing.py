"""Resources that can be read and are never stored: `metrics.k8s.io`.

Who knows the objects is told to the server as an extension; the selectors, forms and Tables of lists
are the same as for what is stored.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from wherry.apiserver.answers import Many, One
from wherry.apiserver.call import Call
from wherry.apiserver.resources import Served
from wherry.apiserver.strategy import Strategy
from wherry.objects import errors, metadata, schemas, selectors
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_FIELDS = frozenset({"metadata.name", "metadata.namespace"})


class Computed(Protocol):
    """Knows the objects of one resource. Called from one event loop, by many at once."""

    resource: Resource
    """What is served; its verbs are get and list."""

    definition: Mapping[str, Any]
    """Schema and columns, as a version of a CustomResourceDefinition has them."""

    async def objects(self, namespace: str | None, name: str | None) -> Sequence[Object]:
        """Return the objects there are now.

        Args:
            namespace: Of which; None for all.
            name: Of which; None for all.

        Raises:
            ApiError: They cannot be told now.
        """
        ...


def served(computed: Computed) -> Served:
    """Return how a computed resource is served."""
    structural = computed.definition["schema"]["openAPIV3Schema"]
    schema = schemas.Schema.compile(structural)
    return Served(
        resource=computed.resource,
        storage=computed.resource,
        schema=lambda: schema,
        strategy=Strategy(),
        definition=computed.definition,
        structural=lambda: structural,
    )


async def read(computed: Computed, row: Served, call: Call) -> One | Many:
    """Answer get or list.

    Raises:
        NotFoundError: There is no such object.
        BadRequestError: A selector cannot be read.
    """
    request = call.request
    if request.name is not None:
        found = await computed.objects(request.namespace, request.name)
        if not found:
            resource = computed.resource
            raise errors.not_found(resource.plural, request.name, resource.group)
        return One(orjson.dumps(found[0]), row)
    labels, fields = _selectors(request.options)
    found = await computed.objects(request.namespace, None)
    chosen = [
        orjson.dumps(obj)
        for obj in found
        if labels.matches(metadata.labels(obj)) and fields.matches(_fields(obj))
    ]
    return Many(row, chosen, revision=0)


def _fields(obj: Object) -> dict[str, str]:
    where = metadata.namespaced_name(obj)
    return {"metadata.name": where.name, "metadata.namespace": where.namespace}


def _selectors(
    options: Mapping[str, str],
) -> tuple[selectors.LabelSelector, selectors.FieldSelector]:
    try:
        labels = selectors.parse_labels(options.get("labelSelector", ""))
        fields = selectors.parse_fields(options.get("fieldSelector", ""))
    except ValueError as error:
        raise errors.BadRequestError(f"unable to parse requirement: {error}") from error
    for path in sorted({one.path for one in fields.requirements} - _FIELDS):
        known = ", ".join(sorted(_FIELDS))
        raise errors.BadRequestError(f'"{path}" is not a known field selector: only {known}')
    return labels, fields
