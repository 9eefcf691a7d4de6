"""Classes of protocol buffers, made of tables (`wherry.objects.message_tables`).

They live in a pool of their own, so that those that others have generated can be loaded beside them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)

from wherry.objects.message_tables import WELL_KNOWN, Field

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "double": _Field.TYPE_DOUBLE,
}
_IMPORTED: Final = (any_pb2.DESCRIPTOR, struct_pb2.DESCRIPTOR, timestamp_pb2.DESCRIPTOR)

Messages = Mapping[str, Sequence[Field]]
Enumerations = Mapping[str, Mapping[str, int]]


def classes(
    package: str, messages: Messages, enums: Enumerations, *, syntax: str = "proto3"
) -> dict[str, Any]:
    """Return the classes of a package's messages, by name.

    Args:
        package: Its name.
        messages: Fields by message; one within another has both names with a dot, after the outer one.
        enums: Values by enumeration; likewise.
        syntax: ``proto2`` where it matters of each field whether it is set.
    """
    pool = descriptor_pool.DescriptorPool()
    for imported in _IMPORTED:
        pool.AddSerializedFile(imported.serialized_pb)
    pool.Add(_File(package, messages, enums, syntax).described)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


class _File:
    """What a compiler of protocol buffers would say of a package."""

    def __init__(self, package: str, messages: Messages, enums: Enumerations, syntax: str) -> None:
        self.described = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.proto", package=package, syntax=syntax
        )
        self.described.dependency.extend(imported.name for imported in _IMPORTED)
        self._package = package
        self._enums = enums
        self._messages: dict[str, Any] = {}
        for name, fields in messages.items():
            self._add_message(name, fields)
        for name, values in enums.items():
            self._add_enum(name, values)

    def _add_message(self, name: str, fields: Sequence[Field]) -> None:
        outer, _, inner = name.rpartition(".")
        around = self._messages[outer].nested_type if outer else self.described.message_type
        message = self._messages[name] = around.add(name=inner)
        choices = list(dict.fromkeys(field.choice for field in fields if field.choice))
        for choice in choices:
            message.oneof_decl.add(name=choice)
        for field in fields:
            made = message.field.add(name=field.name, number=field.number)
            made.label = _Field.LABEL_REPEATED if field.is_many else _Field.LABEL_OPTIONAL
            if field.choice:
                made.oneof_index = choices.index(field.choice)
            if field.mapped:
                made.type = _Field.TYPE_MESSAGE
                made.type_name = f".{self._package}.{name}.{self._add_entry(message, field)}"
            else:
                self._set_type(made, field.kind)

    def _add_entry(self, message: Any, field: Field) -> str:
        """Add the message that is one entry of a map; return its name."""
        entry = message.nested_type.add(name=_entry(field.name))
        entry.options.map_entry = True
        for number, name, kind in ((1, "key", "string"), (2, "value", field.kind)):
            part = entry.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
            self._set_type(part, kind)
        return str(entry.name)

    def _add_enum(self, name: str, values: Mapping[str, int]) -> None:
        outer, _, inner = name.rpartition(".")
        around = self._messages[outer].enum_type if outer else self.described.enum_type
        enum = around.add(name=inner)
        for value, number in values.items():
            enum.value.add(name=value, number=number)

    def _set_type(self, field: Any, kind: str) -> None:
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
            return
        field.type = _Field.TYPE_ENUM if kind in self._enums else _Field.TYPE_MESSAGE
        within = "google.protobuf" if kind in WELL_KNOWN else self._package
        field.type_name = f".{within}.{kind}"


def _entry(field: str) -> str:
    """Return the name that the compiler of protocol buffers gives a map's entries."""
    return f"{''.join(part[:1].upper() + part[1:] for part in field.split('_'))}Entry"
