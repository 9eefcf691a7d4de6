"""How a field of a declared kind is written down: its description, its bounds, its default."""

import dataclasses
import re
from typing import Any

_KEY = "about"
_WORD = re.compile(r"_([a-z0-9])")


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """What the API says of a field.

    Attributes:
        description: For people; `kubectl explain` prints it.
        required: Whether it has to be there.
        published: Component name of the type of Kubernetes' own that the field holds, such as
            ``io.k8s.api.core.v1.PodTemplateSpec``; empty where the annotation says its type.
        name: Its name in the API, where it is not the attribute's in camel case.
        filled: What the API fills in where the user says nothing; None for nothing.
        limits: Keywords of the schema, such as ``minimum``, ``maxLength``, ``enum``, ``pattern``.
    """

    description: str
    required: bool = False
    published: str = ""
    name: str = ""
    filled: Any = None
    limits: dict[str, Any] = dataclasses.field(default_factory=dict)


def about(
    description: str,
    default: Any = None,
    *,
    required: bool = False,
    published: str = "",
    name: str = "",
    filled: Any = None,
    **limits: Any,
) -> Any:
    """Declare a field.

    Args:
        description: What it is for.
        default: What reading gives where the object says nothing: ``""``, ``()``, None … or `dict`,
            which gives each object an empty one of its own. A field that is `filled` has that.
        required: Whether the API refuses objects without it.
        published: Component name of the published type that it holds.
        name: Its name in the API, where it is not the attribute's in camel case.
        filled: What the API fills in where the user says nothing.
        **limits: Keywords of the schema.

    Returns:
        A dataclass field; typed Any, as `dataclasses.field` is to a reader.
    """
    metadata = {_KEY: About(description, required, published, name, filled, limits)}
    if default is dict:
        return dataclasses.field(default_factory=dict, metadata=metadata)
    value = default if filled is None else filled
    return dataclasses.field(default=value, metadata=metadata)


def of(field: "dataclasses.Field[Any]") -> About:
    """Return what was declared of a field.

    Raises:
        TypeError: it was not declared with `about`: nobody would know what it is for.
    """
    found = field.metadata.get(_KEY)
    if not isinstance(found, About):
        raise TypeError(f"field {field.name!r}: declare it with about(…), which says what it is")
    return found


def name(field: "dataclasses.Field[Any]") -> str:
    """Return the name in the API: ``cleanPodPolicy`` of ``clean_pod_policy``."""
    return of(field).name or _WORD.sub(lambda match: match[1].upper(), field.name)
