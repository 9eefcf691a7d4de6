"""The API's description, as OpenAPI 3. Pure.

It says what the service does: which fields there are, what is refused, what an error looks like.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import wherry
from wherry.objects.message_tables import ANY, STRUCT, TIMESTAMP, VALUE, Field
from wherry.objects.requests import Object
from wherry.pipelines.api import messages, methods, uploading
from wherry.pipelines.api.methods import EMPTY, Method

PATH: Final = "/openapi.json"
_REFERENCE: Final = "#/components/schemas/"
_OPEN: Final = frozenset({"HealthzService", "DummyFilterService"})
"""Services that answer whoever asks."""
_KINDS: Final[dict[str, Object]] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "binary"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"type": "string", "format": "int64", "pattern": r"^-?[0-9]{1,18}$"},
    "double": {"type": "number", "format": "double"},
    TIMESTAMP: {"type": "string", "format": "date-time"},
    STRUCT: {"type": "object"},
    VALUE: {},
    ANY: {"type": "object"},
}


def document(answered: Iterable[Method]) -> Object:
    """Return the description of some methods."""
    paths: dict[str, Object] = {}
    for method in answered:
        paths.setdefault(method.path, {})[method.http.lower()] = _operation(method)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Pipelines",
            "description": "Pipelines, experiments, runs and schedules, as Kubeflow Pipelines has them.",
            "version": wherry.__version__,
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {
                **{name: _message(fields) for name, fields in messages.MESSAGES.items()},
                **{name: _enum(values) for name, values in messages.ENUMS.items()},
                "Error": _error(),
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(method: Method) -> Object:
    named = methods.fields(method.path)
    made: Object = {
        "operationId": f"{method.service}_{method.name}",
        "tags": [method.service],
        "parameters": [_in_path(name) for name in named] + [*_in_query(method, named)],
        "responses": {
            "200": _bytes() if method.is_stream else _message_of(method.response),
            "default": _answer("It cannot be done.", {"$ref": f"{_REFERENCE}Error"}),
        },
    }
    if method.service in _OPEN:
        made["security"] = []
    if method.resource:
        made["description"] = f"Takes the right to {method.verb} {method.resource}."
    if uploading.is_upload(method):
        made["requestBody"] = {**_content("multipart/form-data", _file()), "required": True}
    elif method.body:
        field = next((f for f in messages.MESSAGES[method.request] if f.name == method.body), None)
        schema = _field(field) if field else {"$ref": f"{_REFERENCE}{method.request}"}
        made["requestBody"] = _content("application/json", schema)
    return made


def _message_of(name: str) -> Object:
    return _answer("What was asked for.", {"$ref": f"{_REFERENCE}{name}"})


def _bytes() -> Object:
    content = {"*/*": {"schema": _KINDS["bytes"]}}
    return {"description": "What was asked for.", "content": content}


def _in_path(name: str) -> Object:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(method: Method, named: list[str]) -> Iterator[Object]:
    if method.body == "*" or method.request == EMPTY:
        return
    for field in messages.MESSAGES[method.request]:
        plain = not field.mapped and field.kind not in messages.MESSAGES
        if plain and field.name not in (*named, uploading.FIELD):
            yield {"name": field.name, "in": "query", "schema": _field(field)}


def _message(fields: Iterable[Field]) -> Object:
    return {
        "type": "object",
        "properties": {field.name: _field(field) for field in fields},
        "additionalProperties": False,
    }


def _enum(values: Iterable[str]) -> Object:
    return {"type": "string", "enum": [*values]}


def _field(field: Field) -> Object:
    schema = _KINDS.get(field.kind, {"$ref": f"{_REFERENCE}{field.kind}"})
    if field.mapped:
        return {"type": "object", "additionalProperties": schema}
    return {"type": "array", "items": schema} if field.repeated else schema


def _file() -> Object:
    return {
        "type": "object",
        "properties": {uploading.FIELD: _KINDS["bytes"]},
        "required": [uploading.FIELD],
    }


def _error() -> Object:
    text: Object = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "error": text,
            "code": {"type": "integer"},
            "message": text,
            "details": {"type": "array", "items": {"type": "object"}},
            "error_message": text,
            "error_details": text,
        },
        "additionalProperties": False,
    }


def _content(media_type: str, schema: Any) -> Object:
    return {"content": {media_type: {"schema": schema}}}


def _answer(description: str, schema: Any) -> Object:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
