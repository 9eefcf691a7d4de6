"""Values as texts, as parameters hold them."""

import json
from typing import Any


def text(value: Any) -> str:
    """Return a value of JSON as text, as parameters hold it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
