"""YAML and JSON as Kubernetes reads them, one document at a time.

PyYAML follows YAML 1.1 to the letter, which turns ``80:80`` into a number and ``2024-01-01`` into a
date; Kubernetes' reader does neither. Duplicate keys are an error, and an alias may not make a small
file huge.
"""

import json
import re
from collections.abc import Hashable, Iterator
from typing import Any

import yaml

from wherry.objects import yaml_bounds

MAX_VALUES = yaml_bounds.MAX_VALUES
"""How many values one document may hold; the API takes 3 MiB, which is fewer."""

_SEPARATOR = re.compile(r"^---(?=\s|$)[^\n]*\n?", re.MULTILINE)
_INT = re.compile(r"^(?:[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*))$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_STRING = "tag:yaml.org,2002:str"
_REPLACED = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp", "value")}


class DocumentError(Exception):
    """A document cannot be read; the message says where."""


class _Loader(
    yaml_bounds.BoundedMerges,
    getattr(yaml, "CSafeLoader", yaml.SafeLoader),  # type: ignore[misc]  # chosen at run time
):
    """The rules above."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for place, (key, value) in enumerate(node.value):
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if not isinstance(key, yaml.ScalarNode):
                problem = "a key must be a scalar"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            name = self._name(key)
            if name in seen:
                problem = f"key {name!r} is there twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(name)
            named = yaml.ScalarNode(_STRING, name, key.start_mark, key.end_mark)
            node.value[place] = (named, value)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return found

    def _name(self, key: yaml.ScalarNode) -> str:
        # 1 and true are keys of JSON as "1" and "true", and one and the same key to Python.
        value = self.construct_object(key)
        return value if isinstance(value, str) else json.dumps(value)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def read(text: str) -> Iterator[Any]:
    """Yield the documents of a text, empty ones left out; what cannot be read comes as an error.

    A text that begins with a brace and is JSON may hold several documents, one after the other.

    Args:
        text: YAML or JSON.

    Yields:
        A value, or a `DocumentError` in its place, so that the documents after it are read too.
    """
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("{"):
        values = _json(text)
        if values is not None:
            yield from values
            return
    start = 0
    for end, following in _pieces(text):
        value = _yaml(text[start:end], text.count("\n", 0, start))
        start = following
        if value is not None:
            yield value


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    for match in _SEPARATOR.finditer(text):
        yield match.start(), match.end()
    yield len(text), len(text)


def _json(text: str) -> list[Any] | None:
    decoder = json.JSONDecoder()
    values: list[Any] = []
    place = len(text) - len(text.lstrip())
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except (json.JSONDecodeError, RecursionError):
            return None
        values.append(value)
        place += len(text) - place - len(text[place:].lstrip())
    return values


def _yaml(text: str, lines_before: int) -> Any:
    try:
        yaml_bounds.check(text, MAX_VALUES)
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1 + lines_before}: " if mark else ""
        return DocumentError(f"{place}{error.problem or error.context}")
    except yaml.YAMLError as error:
        return DocumentError(str(error).replace("\n", " "))
    except (RecursionError, ValueError) as error:
        return DocumentError(str(error) or "nests too deep")
    if not _is_bounded(value):
        return DocumentError(
            f"holds more than {MAX_VALUES} values (aliases counted as what they mean)"
        )
    return value


def _is_bounded(value: Any) -> bool:
    """Return whether a value is small enough to be written out; aliases may even form circles."""
    stack, count = [value], 0
    while stack:
        item = stack.pop()
        below = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        count += len(below)
        if count > MAX_VALUES:
            return False
        stack += [child for child in below if isinstance(child, dict | list)]
    return True
