"""Messages of protocol buffers as mappings, and back. Protocol buffers are imported with it.

What is not set is not in the mapping. Bytes are text there (base64), and a ``google.protobuf.Struct`` is the
JSON that it says: so mappings can be kept as JSON.
"""

import base64
import functools
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import message as protobuf

from wherry.objects import errors, message_classes
from wherry.objects.message_tables import Field
from wherry.objects.requests import Object
from wherry.pipelines.api.mlmd import messages

_SHOWN: Final = 200


@functools.cache
def _classes() -> dict[str, Any]:
    return message_classes.classes(messages.PACKAGE, messages.MESSAGES, {}, syntax="proto2")


def read(name: str, data: bytes) -> Object:
    """Return the message that bytes are, with the keys of its maps in order.

    Raises:
        BadRequestError: they are none of it.
    """
    made = _classes()[name]()
    try:
        made.ParseFromString(data)
        # Texts are looked at only now.
        return _plain(name, made)
    except (protobuf.DecodeError, ValueError) as error:
        raise errors.BadRequestError(f"the message is no {name}: {str(error)[:_SHOWN]}") from error


def write(name: str, value: Object) -> bytes:
    """Return a message as bytes, the same ones each time."""
    made = _classes()[name]()
    _fill(name, made, value)
    # Otherwise maps come in an order of chance.
    return bytes(made.SerializeToString(deterministic=True))


def _plain(name: str, message: Any) -> Object:
    made: Object = {}
    for field in messages.MESSAGES[name]:
        if field.mapped:
            if entries := getattr(message, field.name):
                keys = sorted(entries, key=_text)
                made[field.name] = {key: _plain_one(field, entries[key]) for key in keys}
        elif field.repeated:
            if listed := getattr(message, field.name):
                made[field.name] = [_plain_one(field, each) for each in listed]
        elif message.HasField(field.name):
            made[field.name] = _plain_one(field, getattr(message, field.name))
    return made


def _plain_one(field: Field, value: Any) -> Any:
    if field.kind == messages.JSON_OBJECT:
        return _from_struct(value)
    if field.kind in messages.MESSAGES:
        return _plain(field.kind, value)
    if field.kind == "string":
        return _text(value)
    return base64.b64encode(value).decode() if field.kind == "bytes" else value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        # What protocol buffers of the second syntax give for a text that is none.
        raise ValueError("a text is no UTF-8")
    return value


def _from_struct(value: Any) -> Object:
    return {key: _from_value(value.fields[key]) for key in sorted(value.fields, key=_text)}


def _from_value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _from_struct(value.struct_value)
        case "list_value":
            return [_from_value(each) for each in value.list_value.values]
        case None | "null_value":
            return None
        case "string_value":
            return _text(value.string_value)
        case kind:
            return getattr(value, kind)


def _fill(name: str, message: Any, value: Object) -> None:
    for field in messages.MESSAGES[name]:
        if field.name not in value:
            continue
        given, target = value[field.name], field.name
        if field.kind == messages.JSON_OBJECT and name == messages.PROPERTY:
            _fill_messages(field, getattr(message, target), _json_object(given))
        elif field.kind in messages.MESSAGES:
            _fill_messages(field, getattr(message, target), given)
        elif field.mapped:
            getattr(message, target).update(given)
        elif field.repeated:
            getattr(message, target).extend(given)
        else:
            setattr(message, target, _scalar(field, given))


def _scalar(field: Field, given: Any) -> Any:
    if field.kind == "bytes":
        return base64.b64decode(given)
    return _sendable(given) if field.kind == "string" else given


def _sendable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which what a step has written may hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _fill_messages(field: Field, target: Any, given: Any) -> None:
    if field.mapped:
        for key, each in given.items():
            _fill(field.kind, target[_sendable(key)], each)
    elif field.repeated:
        for each in given:
            _fill(field.kind, target.add(), each)
    else:
        target.SetInParent()
        _fill(field.kind, target, given)


def _json_object(value: Mapping[str, Any]) -> Object:
    return {"fields": {key: _json(each) for key, each in value.items()}}


def _json(value: Any) -> Object:
    match value:
        case None:
            return {"null_value": 0}
        case bool():
            return {"bool_value": value}
        case int() | float():
            return {"number_value": value}
        case str():
            return {"string_value": value}
        case Mapping():
            return {"struct_value": _json_object(value)}
    return {"list_value": {"values": [_json(each) for each in value]}}
