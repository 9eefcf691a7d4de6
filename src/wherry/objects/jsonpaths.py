"""JSONPath as kubectl and CRDs write it: printer columns, scale paths, conditions to wait for.

`python-jsonpath` walks the objects; here kubectl's dialect is read and put into the standard's
words. Paths come from users (a CRD's columns), so only what kubectl has is let through: no regular
expressions, functions or other parts by which a path could be made to run for long.

Source: `k8s.io/client-go/util/jsonpath` (grammar; ``range`` and text between braces are kubectl's
templates, not paths).
"""

import functools
import json
import re
from typing import Any, Final

MAX_LENGTH: Final = 1024
"""Characters a path may have."""

MAX_DESCENTS: Final = 2
"""How many ``..`` a path may have; each multiplies what must be walked."""

_QUOTED = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_NAME = re.compile(r"(?:[^.\[\]{}()\s\\'\"=<>!@$?*,]|\\.)+")
_INDICES = re.compile(r"\[\s*(-?\d{1,9}(?:\s*,\s*-?\d{1,9})*)\s*\]")
_NAMES = re.compile(rf"\[\s*({_QUOTED}(?:\s*,\s*{_QUOTED})*)\s*\]")
_SLICE = re.compile(r"\[\s*(-?\d{0,9}:-?\d{0,9}(?::-?\d{0,9})?)\s*\]")
_ANY = re.compile(r"\[\s*\*\s*\]|\*")
_FILTER = re.compile(rf"\[\s*\?\(\s*((?:{_QUOTED}|[^'\"()])*?)\s*\)\s*\]")
_OPERATOR = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*")
_LITERAL = re.compile(rf"{_QUOTED}|-?\d{{1,15}}(?:\.\d{{1,15}})?|true|false|null")
_EXAMPLES = (
    '.spec.replicas, .status.conditions[?(@.type=="Ready")].status, '
    ".items[*].name, .list[0], .map['a.b'], .map.a\\.b"
)


def find(path: str, obj: Any) -> list[Any]:
    """Return what the path leads to in the object, in the object's order; empty if nothing.

    Args:
        path: A path in kubectl's dialect, with or without braces and leading dot.
        obj: A JSON value; what is returned is part of it, not a copy.

    Raises:
        ValueError: the path is not of that dialect or too long, or the object is nested too deep.
    """
    import jsonpath  # noqa: PLC0415 - see `_compile`

    try:
        return list(_compile(path).findall(obj))
    except jsonpath.JSONPathError as error:
        raise ValueError(f"JSONPath {path!r} cannot be followed: {error}") from error


def check(path: str) -> None:
    """Refuse a bad path early: when it is set rather than when it is followed.

    Raises:
        ValueError: as `find`.
    """
    _compile(path)


@functools.lru_cache(maxsize=512)
def _compile(path: str) -> Any:
    if len(path) > MAX_LENGTH:
        raise ValueError(f"a JSONPath has at most {MAX_LENGTH} characters, this one {len(path)}")
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    if not text:
        raise ValueError(f"invalid JSONPath {path!r}: it is empty; want one like {_EXAMPLES}")
    standard, rest = _steps(text.removeprefix("$"))
    if rest:
        raise ValueError(f"invalid JSONPath {path!r} at {rest!r}; want one like {_EXAMPLES}")
    # A start takes no path, and the library is a thirtieth of what it imports.
    import jsonpath  # noqa: PLC0415 - as said

    return jsonpath.compile(f"${standard}")


def _steps(text: str) -> tuple[str, str]:
    # Returns the steps in the standard's words, and the text from where it is understood no more.
    standard: list[str] = []
    descents = 0
    while text and text != ".":
        descent = text.startswith("..")
        descents += descent
        after = text.removeprefix("..") if descent else text.removeprefix(".")
        # Only the first step may stand without dot or bracket.
        if (not standard and not descent) or after != text or text[0] == "[":
            step, rest = _step(after)
        else:
            step, rest = None, text
        if step is None or descents > MAX_DESCENTS:
            break
        standard.append(f"..{step}" if descent else step)
        text = rest
    return "".join(standard), "" if text == "." and not standard else text


def _step(text: str) -> tuple[str | None, str]:
    if match := _FILTER.match(text):
        condition = _condition(match[1])
        return (f"[?{condition}]" if condition else None), text[match.end() :]
    step, rest = _plain_step(text)
    if step is None and (match := _ANY.match(text)):
        return "[*]", text[match.end() :]
    if step is None and (match := _SLICE.match(text)) and not match[1].endswith(":0"):
        return f"[{match[1]}]", text[match.end() :]
    return step, rest


def _plain_step(text: str) -> tuple[str | None, str]:
    # What may also stand in a filter: names and indices, each leading to few values.
    if match := _NAME.match(text):
        return f"[{json.dumps(_unescape(match[0]))}]", text[match.end() :]
    if match := _NAMES.match(text):
        chosen = [json.dumps(_unquote(quoted)) for quoted in re.findall(_QUOTED, match[1])]
    elif match := _INDICES.match(text):
        chosen = [str(int(number)) for number in match[1].split(",")]
    else:
        return None, text
    # A value chosen twice would let a short path return more than the object has.
    mixed = any(item[0] == "-" for item in chosen) and any(item[0] != "-" for item in chosen)
    if len(set(chosen)) < len(chosen) or mixed:
        return None, text
    return f"[{','.join(chosen)}]", text[match.end() :]


def _condition(text: str) -> str | None:
    left, rest = _operand(text)
    if left is None or not rest:
        return left if text.startswith("@") else None
    operator = _OPERATOR.match(rest)
    if operator is None:
        return None
    right, rest = _operand(rest[operator.end() :])
    return f"{left} {operator[1]} {right}" if right and not rest else None


def _operand(text: str) -> tuple[str | None, str]:
    if match := _LITERAL.match(text):
        quoted = match[0][0] in "'\""
        return (json.dumps(_unquote(match[0])) if quoted else match[0]), text[match.end() :]
    if not text.startswith("@"):
        return None, text
    steps = []
    text = text[1:]
    while text[:1] in {".", "["} and text:
        step, rest = _plain_step(text.removeprefix("."))
        if step is None or "," in re.sub(_QUOTED, "", step):
            return None, text
        steps.append(step)
        text = rest
    return "@" + "".join(steps), text


def _unquote(quoted: str) -> str:
    return _unescape(quoted[1:-1])


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
