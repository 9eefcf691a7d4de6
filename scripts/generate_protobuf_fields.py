"""Derive the table by which `wherry.objects.protobufs` decodes Kubernetes' protobuf bodies.

Takes a folder with checkouts of `kubernetes/api` and `kubernetes/apimachinery`, and where present
`kubernetes/apiextensions-apiserver` and `kubernetes/kube-aggregator`, and writes one JSON file:
numbers and types come from the ``generated.proto`` files, the JSON names and what Go leaves out
when empty from the tags of the Go structs. The table holds names and numbers only.

    python scripts/generate_protobuf_fields.py ~/src/k8s.io

The format of the table is told in `wherry.objects.protobufs`.
"""

import argparse
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

OUTPUT = Path(__file__).parents[1] / "src/wherry/objects/data/protobuf_fields.json"

# Types whose JSON form is not that of their fields.
SPECIAL = {
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "Quantity",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "IntOrString",
    "k8s.io.apimachinery.pkg.apis.meta.v1.Time": "Time",
    "k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime": "MicroTime",
    "k8s.io.apimachinery.pkg.apis.meta.v1.Duration": "Duration",
    "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1": "Raw",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "Raw",
}
for _version in ("v1", "v1beta1"):
    _package = f"k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.{_version}"
    SPECIAL[f"{_package}.JSON"] = "Raw"
    for _name in ("JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool"):
        SPECIAL[f"{_package}.{_name}"] = _name
    SPECIAL[f"{_package}.JSONSchemaPropsOrStringArray"] = "JSONSchemaPropsOrStringArray"

SCALARS = {
    "string": "string",
    "bool": "bool",
    "bytes": "bytes",
    "int32": "int",
    "int64": "int",
    "double": "double",
}

_MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_MAP_FIELD = re.compile(r"map<string, ([\w.]+)> (\w+) = (\d+);")
_FIELD = re.compile(r"(optional|repeated) ([\w.]+) (\w+) = (\d+);")
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_MEMBER = re.compile(r"^\t(?:(\w+)[ \t]+)?(\S+)[ \t]+`([^`]*)`", re.MULTILINE)
_TYPE_META = re.compile(r'^\t(?:\w+\.)?TypeMeta[ \t]+`json:"(?:,inline)?"`', re.MULTILINE)
_IMPORT = re.compile(r'^(?:\t|import )(\w+) "([\w./-]+)"$', re.MULTILINE)
_ALIAS = re.compile(r"^type (\w+) (?:= )?(\w+)\.(\w+)$", re.MULTILINE)
_GROUP = re.compile(r'^(?:const |\s)GroupName\s*=\s*"([^"]*)"', re.MULTILINE)


@dataclass(frozen=True)
class ProtoField:
    """A line of a ``message``: its label (``repeated``, ``map`` …), type, name and number."""

    label: str
    type: str
    name: str
    number: int


@dataclass(frozen=True)
class Member:
    """A line of a Go struct: what its tags tell about the JSON form."""

    json_name: str
    pointer: bool
    omitted_when_empty: bool
    omitted_when_zero: bool


@dataclass
class Package:
    """One API version: its messages by proto; its structs, aliases and kinds by Go."""

    proto_name: str
    group: str = ""
    messages: dict[str, list[ProtoField]] = field(default_factory=dict)
    structs: dict[str, dict[int, Member]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)

    @property
    def short(self) -> str:
        """``apps/v1``: the last two parts of the package's name."""
        return "/".join(self.proto_name.split(".")[-2:])


def read_package(proto: Path) -> Package:
    """Read the proto file and the Go files beside it.

    Raises:
        ValueError: the proto file names no package.
    """
    text = re.sub(r"//.*", "", proto.read_text())
    name = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
    if name is None:
        raise ValueError(f"{proto} names no package")
    package = Package(name[1])
    for message, body in _MESSAGE.findall(text):
        package.messages[message] = read_fields(body)
    for source in sorted(proto.parent.glob("*.go")):
        if not source.name.endswith(("_test.go", ".pb.go")):
            read_go(source.read_text(), package)
    return package


def read_go(text: str, package: Package) -> None:
    """Add what one Go file tells to the package."""
    if found := _GROUP.search(text):
        package.group = found[1]
    for struct, body in _STRUCT.findall(text):
        package.structs[struct] = read_members(body)
        if _TYPE_META.search(body):
            package.kinds.add(struct)
    imports = dict(_IMPORT.findall(text))
    for name, prefix, target in _ALIAS.findall(text):
        if prefix in imports:
            owner = imports[prefix].replace("/", ".").replace("-", "_")
            package.aliases[name] = f"{owner}.{target}"


def read_fields(body: str) -> list[ProtoField]:
    """Return the fields of one message."""
    fields = [ProtoField("map", kind, name, int(n)) for kind, name, n in _MAP_FIELD.findall(body)]
    fields += [
        ProtoField(label, kind, name, int(number))
        for label, kind, name, number in _FIELD.findall(body)
    ]
    return sorted(fields, key=lambda line: line.number)


def read_members(body: str) -> dict[int, Member]:
    """Return the members of one struct that travel, by their number."""
    members = {}
    for go_name, kind, tags in _MEMBER.findall(body):
        json_tag = re.search(r'json:"([^"]*)"', tags)
        wire_tag = re.search(r'protobuf:"\w+,(\d+),', tags)
        if json_tag and wire_tag:
            name, *options = json_tag[1].split(",")
            members[int(wire_tag[1])] = Member(
                name or go_name, kind.startswith("*"), "omitempty" in options, "omitzero" in options
            )
    return members


class Table:
    """The table being built: the messages that kinds lead to, and no others."""

    def __init__(self, packages: list[Package]) -> None:
        self._packages = {package.proto_name: package for package in packages}
        self.messages: dict[str, dict[str, list[list[object]]]] = {}

    def add_kinds(self, package: Package) -> None:
        """Add all kinds of the package and what they are made of."""
        for kind in sorted(package.kinds & package.messages.keys()):
            self.add(f"{package.proto_name}.{kind}")

    def add(self, full_name: str) -> None:
        """Add one message and what it is made of, unless it is there."""
        proto_name, _, name = full_name.rpartition(".")
        package = self._packages[proto_name]
        rows = self.messages.setdefault(package.short, {})
        if name in rows:
            return
        rows[name] = []
        members = self._members(package, name)
        for line in package.messages[name]:
            member = members.get(line.number)
            if member is not None and member.json_name != "-":
                rows[name].append(
                    [
                        line.number,
                        member.json_name,
                        self._flags(line, member),
                        self._type(package, line.type),
                    ]
                )

    def _members(self, package: Package, name: str) -> dict[int, Member]:
        if name in package.aliases:
            owner, _, target = package.aliases[name].rpartition(".")
            return self._members(self._packages[owner], target)
        return package.structs[name] if package.messages[name] else {}

    def _type(self, package: Package, name: str) -> str:
        if name in SCALARS:
            return SCALARS[name]
        full_name = name[1:] if name.startswith(".") else f"{package.proto_name}.{name}"
        if full_name in SPECIAL:
            return SPECIAL[full_name]
        owner = self._packages[full_name.rpartition(".")[0]]
        message = full_name.rpartition(".")[2]
        if message not in owner.structs | owner.aliases and is_string_list(owner.messages[message]):
            return "Strings"
        self.add(full_name)
        return f".{message}" if owner is package else f"{owner.short}.{message}"

    def _flags(self, line: ProtoField, member: Member) -> str:
        if not member.json_name:
            return "~"
        if line.label in {"repeated", "map"}:
            return "[]" if line.label == "repeated" else "{}"
        if member.pointer:
            return "*"
        # Go's `omitempty` leaves out scalars only; an empty struct stays unless `omitzero`.
        scalar = line.type in SCALARS or line.type.endswith(".IntOrString")
        omitted = member.omitted_when_zero or (scalar and member.omitted_when_empty)
        return "?" if omitted else ""


def is_string_list(fields: list[ProtoField]) -> bool:
    """Return whether the message only stands for a Go ``[]string``."""
    return [(line.label, line.type, line.number) for line in fields] == [("repeated", "string", 1)]


def render(table: Table, packages: list[Package]) -> str:
    """Return the JSON text, one message a line so that differences can be read."""
    groups = {
        package.group: package.short.partition("/")[0]
        for package in packages
        if package.kinds and package.short in table.messages
    }
    kinds = {
        package.short: sorted(package.kinds & table.messages[package.short].keys())
        for package in packages
        if package.short in table.messages
    }
    lines = [
        f'"groups": {json.dumps(groups, sort_keys=True)}',
        f'"kinds": {json.dumps(kinds, sort_keys=True)}',
    ]
    blocks = []
    for package, messages in sorted(table.messages.items()):
        rows = ",\n".join(
            f"  {json.dumps(name)}: {json.dumps(fields, separators=(',', ':'))}"
            for name, fields in sorted(messages.items())
        )
        blocks.append(f' "{package}": {{\n{rows}\n }}')
    blocks_text = ",\n".join(blocks)
    lines.append(f'"messages": {{\n{blocks_text}\n}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    """Read the checkouts named on the command line and write the table."""
    parser = argparse.ArgumentParser(description="Derive the protobuf field table.")
    parser.add_argument("folder", type=Path, help="holds the checkouts api, apimachinery …")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    protos = sorted(arguments.folder.rglob("generated.proto"))
    packages = [read_package(proto) for proto in protos if "testapigroup" not in proto.parts]
    # `v1.List` is the one kind that is only an alias.
    next(package for package in packages if package.short == "core/v1").kinds.add("List")
    if not packages:
        parser.error(f"no generated.proto below {arguments.folder}")
    table = Table(packages)
    for package in packages:
        table.add_kinds(package)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(render(table, packages))


if __name__ == "__main__":
    main()
