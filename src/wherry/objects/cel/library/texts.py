"""Texts: CEL's own methods, the strings extension, and Kubernetes' regular expressions and formats."""

import functools
import re
from collections.abc import Callable
from typing import Any

from wherry.objects import names
from wherry.objects.cel.library import times
from wherry.objects.cel.library.table import Function, Method, want
from wherry.objects.cel.values import NONE, CelError, Optional

MAX_MATCHED = 16 * 1024
"""How long a text may be, in characters, to be matched."""


@functools.lru_cache(maxsize=512)
def regular_expression(text: str) -> Any:
    """Return a regular expression of RE2, whose time grows with the length of the text and no faster.

    It is used as those of `re`.

    Raises:
        CelError: It is none.
    """
    import re2  # noqa: PLC0415 - few expressions have one, and it takes a while

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        told = error.args[0] if error.args else ""
        words = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
        raise CelError(f"error parsing regexp: {words}") from error


def _matchable(frame: Any, text: str) -> str:
    frame.spend(len(text) // 10)
    if len(text) > MAX_MATCHED:
        raise CelError(f"text is longer than the {MAX_MATCHED} characters that are matched")
    return text


def _matches(frame: Any, this: Any, pattern: Any) -> bool:
    compiled = regular_expression(want(pattern, str))
    return compiled.search(_matchable(frame, want(this, str))) is not None


def _find(frame: Any, this: str, pattern: Any) -> str:
    found = regular_expression(want(pattern, str)).search(_matchable(frame, this))
    return found[0] if found else ""


def _find_all(frame: Any, this: str, pattern: Any, limit: Any = -1) -> list[str]:
    found = [
        each[0] for each in regular_expression(want(pattern, str)).finditer(_matchable(frame, this))
    ]
    return found if want(limit, int) < 0 else found[:limit]


def _text(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method whose arguments are all texts."""

    def method(frame: Any, this: str, *args: Any) -> Any:
        frame.spend(len(this) // 10)
        return run(this, *[want(arg, str) for arg in args])

    return method


def _char_at(frame: Any, this: str, at: Any) -> str:
    if 0 <= want(at, int) <= len(this):
        return this[at : at + 1]
    raise CelError(f"index out of range: {at}")


def _index_of(frame: Any, this: str, part: Any, start: Any = 0) -> int:
    if 0 <= want(start, int) <= len(this):
        return this.find(want(part, str), start)
    raise CelError(f"index out of range: {start}")


def _last_index_of(frame: Any, this: str, part: Any, start: Any = None) -> int:
    text = want(part, str)
    if start is None:
        return this.rfind(text)
    if 0 <= want(start, int) <= len(this):
        return this.rfind(text, 0, start + len(text))
    raise CelError(f"index out of range: {start}")


def _replace(frame: Any, this: str, *args: Any) -> str:
    before, after = want(args[0], str), want(args[1], str)
    times_ = want(args[2], int) if len(args) > 2 else -1
    count = this.count(before) if times_ < 0 else min(times_, len(this) + 1)
    frame.spend((len(this) + count * len(after)) // 10)
    return this.replace(before, after, times_)


def _split(frame: Any, this: str, mark: Any, limit: Any = -1) -> list[str]:
    frame.spend(len(this) // 10)
    count, separator = want(limit, int), want(mark, str)
    if count == 0:
        return []
    if not separator:
        parts = list(this)
        return parts if count < 0 else [*parts[: count - 1], "".join(parts[count - 1 :])]
    return this.split(separator, count - 1 if count > 0 else -1)


def _substring(frame: Any, this: str, start: Any, end: Any = None) -> str:
    stop = len(this) if end is None else want(end, int)
    if 0 <= want(start, int) <= stop <= len(this):
        return this[start:stop]
    raise CelError(f"index out of range: {start if end is None else end}")


def _ascii(change: Callable[[str], str]) -> Callable[[str], str]:
    return lambda this: "".join(change(each) if each.isascii() else each for each in this)


def _join(frame: Any, this: list[Any], mark: Any = "") -> str:
    parts = [want(each, str) for each in this]
    frame.spend(sum(map(len, parts)) // 10 + len(parts))
    return want(mark, str).join(parts)


_VERB = re.compile(r"%(?:\.(\d{1,3}))?([a-zA-Z%])")


def _format(frame: Any, this: str, args: Any) -> str:
    values = iter(want(args, list))

    def shown(match: re.Match[str]) -> str:
        verb, precision = match[2], int(match[1]) if match[1] else 6
        if verb == "%":
            return "%"
        try:
            value = next(values)
        except StopIteration:
            raise CelError("index out of range in format arguments") from None
        return _formatted(verb, precision, value)

    text = _VERB.sub(shown, this)
    frame.spend(len(text) // 10)
    return text


def _formatted(verb: str, precision: int, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if verb == "s":
        return _shown(value)
    if verb == "d" and number:
        return str(int(value))
    if verb in "fe" and number:
        return f"{value:.{precision}{verb}}"
    if verb in "xX":
        if isinstance(value, str | bytes):
            text = (value.encode() if isinstance(value, str) else value).hex()
            return text.upper() if verb == "X" else text
        if number and isinstance(value, int):
            return f"{value:{verb}}"
    if verb in "bo" and isinstance(value, int):
        return f"{value:{verb}}"
    raise CelError(f"could not parse formatting clause %{verb}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_shown(k)}: {_shown(v)}' for k, v in value.items())}}}"
    return times.text_of(value) or str(value)


class Format:
    """A named rule for texts, e.g. ``format.dns1123Label().value()``."""

    __slots__ = ("check",)

    def __init__(self, check: Callable[[str], list[str]]) -> None:
        self.check = check


_FORMATS = {
    "dns1123Label": names.dns_label,
    "dns1123Subdomain": names.dns_subdomain,
    "dns1035Label": names.dns1035_label,
    "qualifiedName": names.label_key,
    "labelValue": names.label_value,
}


def _validate(frame: Any, this: Format, text: Any) -> Optional:
    problems = list(this.check(want(text, str)))
    return Optional(present=True, value=problems) if problems else NONE


def _named_format(frame: Any, name: Any) -> Optional:
    check = _FORMATS.get(want(name, str))
    return Optional(present=True, value=Format(check)) if check else NONE


def _pointer_part(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


FUNCTIONS = (
    Function("matches", 2, _matches),
    Function("strings.quote", 1, lambda frame, text: _quoted(want(text, str))),
    Function("jsonpatch.escapeKey", 1, lambda frame, text: _pointer_part(want(text, str))),
    Function("format.named", 1, _named_format),
    *(
        Function(f"format.{name}", 0, lambda frame, check=check: Format(check))
        for name, check in _FORMATS.items()
    ),
)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for mark, letter in zip("\a\b\f\n\r\t\v", "abfnrtv", strict=True):
        escaped = escaped.replace(mark, f"\\{letter}")
    return f'"{escaped}"'


METHODS = (
    Method("matches", (str,), 1, _matches),
    Method("contains", (str,), 1, _text(lambda this, part: part in this)),
    Method("startsWith", (str,), 1, _text(str.startswith)),
    Method("endsWith", (str,), 1, _text(str.endswith)),
    Method("find", (str,), 1, _find),
    Method("findAll", (str,), 1, _find_all),
    Method("findAll", (str,), 2, _find_all),
    Method("charAt", (str,), 1, _char_at),
    Method("indexOf", (str,), 1, _index_of),
    Method("indexOf", (str,), 2, _index_of),
    Method("lastIndexOf", (str,), 1, _last_index_of),
    Method("lastIndexOf", (str,), 2, _last_index_of),
    Method("lowerAscii", (str,), 0, _text(_ascii(str.lower))),
    Method("upperAscii", (str,), 0, _text(_ascii(str.upper))),
    Method("trim", (str,), 0, _text(str.strip)),
    Method("reverse", (str,), 0, _text(lambda this: this[::-1])),
    Method("replace", (str,), 2, _replace),
    Method("replace", (str,), 3, _replace),
    Method("split", (str,), 1, _split),
    Method("split", (str,), 2, _split),
    Method("substring", (str,), 1, _substring),
    Method("substring", (str,), 2, _substring),
    Method("join", (list,), 0, _join),
    Method("join", (list,), 1, _join),
    Method("format", (str,), 1, _format),
    Method("validate", (Format,), 1, _validate),
)
