"""What a YAML text may ask of its reader, looked at before it is read.

libyaml builds the tree of a document by recursion in C: a text of some ten kilobytes that nests deep
enough ends the process. A text of ones and commas takes two hundred times its size. And merge keys
(``<<``) that merge one another multiply what a mapping holds.
"""

from typing import Any, Final

import yaml

MAX_DEPTH: Final = 200
"""Levels of nesting; what is read is written as JSON, whose writers stop not far above."""
MAX_VALUES: Final = 500_000
"""Each takes some hundred bytes once it is read."""
MAX_MERGED: Final = 10_000
"""Fields of one mapping, with those it takes from others."""
_READER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check(text: str, most_values: int = MAX_VALUES) -> None:
    """Check that a text nests no deeper than it may, and holds no more.

    Args:
        text: YAML, one document or several.
        most_values: How many values it may hold, an alias counted as one.

    Raises:
        YAMLError: it does, or it is no YAML.
    """
    depth = values = 0
    for event in yaml.parse(text, Loader=_READER):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.NodeEvent):
            values += 1
            depth += isinstance(event, yaml.CollectionStartEvent)
        if depth > MAX_DEPTH:
            raise _refused(event, f"nests deeper than {MAX_DEPTH} levels")
        if values > most_values:
            raise _refused(event, f"holds more than {most_values} values")


def _refused(event: yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark  # which libyaml and PyYAML make each in a class of their own
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class BoundedMerges:
    """To be mixed into a loader, before PyYAML's: mappings that merge too much are refused."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what a mapping merges into it, once that of those it merges is known to be bounded."""
        inherited: Any = super()
        inherited.flatten_mapping(node)
        if len(node.value) > MAX_MERGED:
            raise yaml.MarkedYAMLError(
                problem=f"merges more than {MAX_MERGED} fields into one",
                problem_mark=node.start_mark,
            )
