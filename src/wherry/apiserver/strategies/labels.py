"""Rules of labels and annotations where they are a template's.

Those of objects themselves are checked for every kind alike, in `apiserver.object_meta`.

Source: ``ValidateLabels`` and ``ValidateAnnotations`` of apimachinery.
"""

import functools
from collections.abc import Mapping
from typing import Any

from wherry.apiserver.strategies import causes
from wherry.objects import names
from wherry.objects.errors import Cause

MAX_ANNOTATIONS_BYTES = 256 * 1024


@functools.lru_cache(maxsize=4096)
def _key_problems(key: str) -> tuple[str, ...]:
    return tuple(names.label_key(key))


@functools.lru_cache(maxsize=4096)
def _value_problems(value: str) -> tuple[str, ...]:
    return tuple(names.label_value(value))


def check_pairs(path: str, labels: Mapping[str, str] | None) -> list[Cause]:
    """Check labels, or what else has their form: selectors of services, node selectors."""
    found: list[Cause] = []
    for key, value in (labels or {}).items():
        if problems := _key_problems(key):
            found += causes.problems(path, key, problems)
        if problems := _value_problems(value):
            found += causes.problems(path, value, problems)
    return found


def check(path: str, meta: Mapping[str, Any]) -> list[Cause]:
    """Check the labels and annotations of a template's metadata, which stands at ``path``."""
    found = check_pairs(f"{path}.labels", meta.get("labels"))
    size = 0
    for key, value in (meta.get("annotations") or {}).items():
        if problems := _key_problems(key.lower()):
            found += causes.problems(f"{path}.annotations", key, problems)
        size += len(key) + len(value)
    if size > MAX_ANNOTATIONS_BYTES:
        found.append(causes.too_long(f"{path}.annotations", MAX_ANNOTATIONS_BYTES))
    return found
