"""Functions of Sprig, which expressions call as ``sprig.trim(…)``.

What there is not: functions that read the environment, the network or the disk, that make keys and certificates, or
that change their arguments. As in Sprig, most of them give something for whatever they are given.

Source: the manual of Sprig 3.3.
"""

import base64
import binascii
import datetime
import hashlib
import math
import posixpath
import random
import re
import string
import textwrap
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from wherry.pipelines.schedules import go_layouts
from wherry.pipelines.workflows.expr import moments, patterns, values
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.expr.values import Function, entries, items, text

_Table = Mapping[str, tuple[int, int, Callable[..., Any]]]
_MOST: Final = values.MOST_CHARACTERS


def _whole(value: Any) -> int:
    """Return a whole number of anything; 0 of what is none."""
    try:
        return int(float(value)) if isinstance(value, str) else int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def _real(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _empty(value: Any) -> bool:
    return not value and not isinstance(value, datetime.timedelta)


def _shown(value: Any) -> str:
    return "" if value is None else values.written(value)


def _count(value: Any, size: int) -> int:
    count = _whole(value)
    if count * max(size, 1) > _MOST:
        raise ExprError(f"{count} times {size} characters; at most {_MOST} may be made")
    return max(count, 0)


def _substr(start: Any, end: Any, value: Any) -> str:
    low, high, content = _whole(start), _whole(end), text(value)
    if low < 0:
        return content[: max(high, 0)]
    return content[low:] if high < 0 or high > len(content) else content[low:high]


def _trunc(count: Any, value: Any) -> str:
    size, content = _whole(count), text(value)
    if size < 0:
        return content[size:] if -size < len(content) else content
    return content[:size]


def _abbrev(width: Any, value: Any) -> str:
    size, content = _whole(width), text(value)
    return content if size < 4 or len(content) <= size else content[: size - 3] + "..."


def _indent(count: Any, value: Any) -> str:
    pad = " " * _count(count, len(text(value)))
    return pad + text(value).replace("\n", f"\n{pad}")


def _words(value: Any) -> list[str]:
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text(value))
    return [each for each in re.split(r"[\s_\-.]+", spaced) if each]


def _camel(value: Any) -> str:
    return "".join(each[:1].upper() + each[1:] for each in _words(value))


def _plural(one: Any, many: Any, count: Any) -> Any:
    return one if _whole(count) == 1 else many


def _wrapped(width: Any, mark: Any, value: Any) -> str:
    lines = textwrap.wrap(text(value), max(_whole(width), 1), break_long_words=False)
    return values.joined(text(mark), lines)


def _random(letters: str) -> Callable[[Any], str]:
    return lambda count: "".join(random.choices(letters, k=_count(count, 1)))  # noqa: S311 - no secret


_TEXTS: Final[_Table] = {
    "trim": (1, 1, lambda value: text(value).strip()),
    "trimAll": (2, 2, lambda chars, value: text(value).strip(text(chars))),
    "trimPrefix": (2, 2, lambda part, value: text(value).removeprefix(text(part))),
    "trimSuffix": (2, 2, lambda part, value: text(value).removesuffix(text(part))),
    "upper": (1, 1, lambda value: text(value).upper()),
    "lower": (1, 1, lambda value: text(value).lower()),
    "title": (1, 1, lambda value: re.sub(r"\b\w", lambda m: m[0].upper(), text(value))),
    "untitle": (1, 1, lambda value: re.sub(r"\b\w", lambda m: m[0].lower(), text(value))),
    "swapcase": (1, 1, lambda value: text(value).swapcase()),
    "repeat": (2, 2, lambda count, value: text(value) * _count(count, len(value))),
    "substr": (3, 3, _substr),
    "nospace": (1, 1, lambda value: re.sub(r"\s", "", text(value))),
    "trunc": (2, 2, _trunc),
    "abbrev": (2, 2, _abbrev),
    "initials": (1, 1, lambda value: "".join(each[0] for each in text(value).split())),
    "contains": (2, 2, lambda part, value: text(part) in text(value)),
    "hasPrefix": (2, 2, lambda part, value: text(value).startswith(text(part))),
    "hasSuffix": (2, 2, lambda part, value: text(value).endswith(text(part))),
    "quote": (0, -1, lambda *all_: " ".join(values.json_text(_shown(each)) for each in all_)),
    "squote": (0, -1, lambda *all_: " ".join(f"'{_shown(each)}'" for each in all_)),
    "cat": (0, -1, lambda *all_: " ".join(_shown(each) for each in all_ if each is not None)),
    "indent": (2, 2, _indent),
    "nindent": (2, 2, lambda count, value: "\n" + _indent(count, value)),
    "replace": (3, 3, lambda old, new, value: values.replaced(text(value), text(old), text(new))),
    "plural": (3, 3, _plural),
    "wrap": (2, 2, lambda width, value: _wrapped(width, "\n", value)),
    "wrapWith": (3, 3, _wrapped),
    "snakecase": (1, 1, lambda value: "_".join(_words(value)).lower()),
    "camelcase": (1, 1, _camel),
    "kebabcase": (1, 1, lambda value: "-".join(_words(value)).lower()),
    "toString": (1, 1, _shown),
    "randAlphaNum": (1, 1, _random(string.ascii_letters + string.digits)),
    "randAlpha": (1, 1, _random(string.ascii_letters)),
    "randNumeric": (1, 1, _random(string.digits)),
    "uuidv4": (0, 0, lambda: str(uuid.uuid4())),
}


def _match(pattern: Any, value: Any) -> Any:
    return patterns.compiled(text(pattern), text(value))


def _regex_find(pattern: Any, value: Any) -> str:
    found = _match(pattern, value).search(value)
    return found[0] if found else ""


def _regex_all(pattern: Any, value: Any, count: Any) -> list[str]:
    found = [each[0] for each in _match(pattern, value).finditer(value)]
    return found if _whole(count) < 0 else found[: _whole(count)]


def _sparing() -> Callable[[str], str]:
    """Return what hands on parts of a text as long as these are not too much together."""
    left = _MOST

    def taken(part: str) -> str:
        nonlocal left
        left -= len(part)
        if left < 0:
            raise ExprError(f"a text of more than {_MOST} characters")
        return part

    return taken


def _regex_replace(pattern: Any, value: Any, other: Any) -> str:
    inner, outer = _sparing(), _sparing()

    def written(match: Any) -> str:
        return outer(
            re.sub(
                r"\$(?:\{(\w+)\}|(\w+))",
                lambda group: inner(_group(match, group[1] or group[2])),
                text(other),
            )
        )

    return str(_match(pattern, value).sub(written, value))


def _group(match: Any, name: str) -> str:
    try:
        return str(match[int(name) if name.isdigit() else name] or "")
    except (IndexError, KeyError):
        return ""


def _regex_literal(pattern: Any, value: Any, other: Any) -> str:
    taken = _sparing()
    return str(_match(pattern, value).sub(lambda match: taken(text(other)), value))


def _regex_split(pattern: Any, value: Any, count: Any) -> list[str]:
    limit = _whole(count)
    parts: list[str] = []
    at = 0
    for match in _match(pattern, value).finditer(value):
        if 0 < limit <= len(parts) + 1:
            break
        parts.append(value[at : match.start()])
        at = match.end()
    return [*parts, value[at:]] if limit else []


_PATTERNS: Final[_Table] = {
    "regexMatch": (2, 2, lambda pattern, value: bool(_match(pattern, value).search(value))),
    "regexFind": (2, 2, _regex_find),
    "regexFindAll": (3, 3, _regex_all),
    "regexReplaceAll": (3, 3, _regex_replace),
    "regexReplaceAllLiteral": (3, 3, _regex_literal),
    "regexSplit": (3, 3, _regex_split),
    "regexQuoteMeta": (1, 1, lambda value: re.escape(text(value))),
}


def _join(mark: Any, given: Any) -> str:
    each = given if isinstance(given, list) else [given]
    return values.joined(text(mark), [_shown(one) for one in each if one is not None])


def _split(mark: Any, value: Any) -> list[str]:
    return text(value).split(mark) if text(mark) else [*text(value)]


def _slice(given: Any, low: Any = 0, high: Any = None) -> list[Any]:
    return items(given)[_whole(low) : None if high is None else _whole(high)]


def _range(low: Any, high: Any, step: Any = None) -> list[int]:
    start, end = _whole(low), _whole(high)
    pace = (1 if end >= start else -1) if step is None else _whole(step)
    if not pace or (end - start) / pace > values.MOST_ITEMS:
        raise ExprError(f"from {start} to {end} by {pace}: at most {values.MOST_ITEMS} items")
    return [*range(start, end, pace)]


def _chunk(size: Any, given: Any) -> list[list[Any]]:
    step = max(_whole(size), 1)
    return [given[at : at + step] for at in range(0, len(items(given)), step)]


def _has(needle: Any, given: Any) -> bool:
    return any(values.equal(needle, each) for each in given or ())


_LISTS: Final[_Table] = {
    "list": (0, -1, lambda *given: [*given]),
    "tuple": (0, -1, lambda *given: [*given]),
    "first": (1, 1, lambda given: items(given)[0] if given else None),
    "rest": (1, 1, lambda given: items(given)[1:]),
    "last": (1, 1, lambda given: items(given)[-1] if given else None),
    "initial": (1, 1, lambda given: items(given)[:-1]),
    "append": (2, 2, lambda given, item: [*items(given), item]),
    "prepend": (2, 2, lambda given, item: [item, *items(given)]),
    "concat": (0, -1, lambda *given: [each for one in given for each in items(one)]),
    "reverse": (1, 1, lambda given: items(given)[::-1]),
    "uniq": (1, 1, values.unique),
    "without": (1, -1, lambda given, *out: [each for each in items(given) if not _has(each, out)]),
    "has": (2, 2, _has),
    "compact": (1, 1, lambda given: [each for each in items(given) if not _empty(each)]),
    "slice": (1, 3, _slice),
    "chunk": (2, 2, _chunk),
    "join": (2, 2, _join),
    "splitList": (2, 2, _split),
    "split": (
        2,
        2,
        lambda mark, value: {f"_{n}": one for n, one in enumerate(_split(mark, value))},
    ),
    "sortAlpha": (1, 1, lambda given: sorted(map(_shown, items(given)))),
    "toStrings": (1, 1, lambda given: [_shown(each) for each in items(given)]),
    "until": (1, 1, lambda count: _range(0, count)),
    "untilStep": (3, 3, _range),
}


def _dict(*given: Any) -> dict[str, Any]:
    padded = [*given, *([""] if len(given) % 2 else [])]
    return {_shown(padded[at]): padded[at + 1] for at in range(0, len(padded), 2)}


def _merged(given: Iterable[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in given:
        for key, value in entries(one).items():
            there = found.get(key)
            if isinstance(there, dict) and isinstance(value, Mapping):
                found[key] = _merged((there, value))
            elif key not in found or _empty(there):
                found[key] = value
    return found


def _dig(*given: Any) -> Any:
    *keys, default, found = given
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return default
        found = found[key]
    return found


_MAPS: Final[_Table] = {
    "dict": (0, -1, _dict),
    "get": (2, 2, lambda given, key: entries(given).get(key, "")),
    "hasKey": (2, 2, lambda given, key: key in entries(given)),
    "pluck": (1, -1, lambda key, *given: [one[key] for one in given if key in entries(one)]),
    "keys": (0, -1, lambda *given: [key for one in given for key in entries(one)]),
    "values": (1, 1, lambda given: [*entries(given).values()]),
    "pick": (1, -1, lambda given, *keys: {k: v for k, v in entries(given).items() if k in keys}),
    "omit": (
        1,
        -1,
        lambda given, *keys: {k: v for k, v in entries(given).items() if k not in keys},
    ),
    "merge": (1, -1, lambda *given: _merged(given)),
    "mergeOverwrite": (1, -1, lambda *given: _merged(reversed(given))),
    "dig": (3, -1, _dig),
}


def _round(value: Any, places: Any, edge: Any = 0.5) -> float:
    shift = 10.0 ** _whole(places)
    scaled = _real(value) * shift
    rest = scaled - math.floor(scaled)
    return (math.ceil(scaled) if rest >= _real(edge) else math.floor(scaled)) / shift


def _divided(left: Any, right: Any) -> int:
    divisor = _whole(right)
    if not divisor:
        raise ExprError("division by zero")
    return int(_whole(left) / divisor) if abs(_whole(left)) < 2**53 else _whole(left) // divisor


_NUMBERS: Final[_Table] = {
    "int": (1, 1, _whole),
    "int64": (1, 1, _whole),
    "float64": (1, 1, _real),
    "atoi": (1, 1, lambda value: int(value) if re.fullmatch(r"[+-]?\d+", str(value)) else 0),
    "add": (0, -1, lambda *given: sum(map(_whole, given))),
    "add1": (1, 1, lambda value: _whole(value) + 1),
    "sub": (2, 2, lambda left, right: _whole(left) - _whole(right)),
    "mul": (1, -1, lambda *given: values.bounded(math.prod(map(_whole, given)))),
    "div": (2, 2, _divided),
    "mod": (2, 2, lambda left, right: _whole(left) - _divided(left, right) * _whole(right)),
    "max": (1, -1, lambda *given: max(map(_whole, given))),
    "min": (1, -1, lambda *given: min(map(_whole, given))),
    "addf": (0, -1, lambda *given: math.fsum(map(_real, given))),
    "subf": (2, 2, lambda left, right: _real(left) - _real(right)),
    "mulf": (1, -1, lambda *given: math.prod(map(_real, given))),
    "divf": (2, 2, lambda left, right: _real(left) / _real(right)),
    "maxf": (1, -1, lambda *given: max(map(_real, given))),
    "minf": (1, -1, lambda *given: min(map(_real, given))),
    "floor": (1, 1, lambda value: float(math.floor(_real(value)))),
    "ceil": (1, 1, lambda value: float(math.ceil(_real(value)))),
    "round": (2, 3, _round),
    "randInt": (2, 2, lambda low, high: random.randrange(_whole(low), _whole(high))),  # noqa: S311 - no secret
}


def _default(other: Any, value: Any = None) -> Any:
    return other if _empty(value) else value


def _ternary(then: Any, otherwise: Any, test: Any) -> Any:
    return then if test is True else otherwise


def _from_json(value: Any) -> Any:
    try:
        return values.parsed(value)
    except ExprError:
        return None


def _fail(message: Any) -> Any:
    raise ExprError(_shown(message))


_LOGIC: Final[_Table] = {
    "default": (1, 2, _default),
    "empty": (1, 1, _empty),
    "coalesce": (0, -1, lambda *given: next((each for each in given if not _empty(each)), None)),
    "all": (0, -1, lambda *given: not any(map(_empty, given))),
    "any": (0, -1, lambda *given: not all(map(_empty, given))),
    "ternary": (3, 3, _ternary),
    "fail": (1, 1, _fail),
    "kindOf": (1, 1, values.kind),
    "typeOf": (1, 1, values.kind),
    "kindIs": (2, 2, lambda name, value: values.kind(value) == name),
    "typeIs": (2, 2, lambda name, value: values.kind(value) == name),
    "deepEqual": (2, 2, values.equal),
    "fromJson": (1, 1, _from_json),
    "mustFromJson": (1, 1, values.parsed),
    "toJson": (1, 1, values.json_text),
    "mustToJson": (1, 1, values.json_text),
    "toRawJson": (1, 1, values.json_text),
    "toPrettyJson": (1, 1, lambda value: values.json_text(value, indent=True)),
}


def _decoded(decode: Callable[[Any], bytes]) -> Callable[[Any], str]:
    def run(value: Any) -> str:
        try:
            return decode(text(value)).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            return str(error)

    return run


def _hash(name: str) -> Callable[[Any], str]:
    return lambda value: hashlib.new(name, text(value).encode(), usedforsecurity=False).hexdigest()


_ENCODINGS: Final[_Table] = {
    "b64enc": (1, 1, lambda value: base64.b64encode(text(value).encode()).decode()),
    "b64dec": (1, 1, _decoded(lambda value: base64.b64decode(value, validate=True))),
    "b32enc": (1, 1, lambda value: base64.b32encode(text(value).encode()).decode()),
    "b32dec": (1, 1, _decoded(base64.b32decode)),
    "sha1sum": (1, 1, _hash("sha1")),
    "sha256sum": (1, 1, _hash("sha256")),
    "sha512sum": (1, 1, _hash("sha512")),
    "adler32sum": (1, 1, lambda value: str(zlib.adler32(text(value).encode()))),
    "base": (1, 1, lambda value: posixpath.basename(text(value).rstrip("/")) or "."),
    "dir": (1, 1, lambda value: posixpath.normpath(posixpath.dirname(text(value)) or ".")),
    "clean": (1, 1, lambda value: posixpath.normpath(text(value) or ".")),
    "ext": (1, 1, lambda value: posixpath.splitext(text(value))[1]),
    "isAbs": (1, 1, lambda value: text(value).startswith("/")),
}


def _moment(value: Any) -> datetime.datetime:
    if values.is_number(value):
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    return moments.read(value)


def _date(layout: Any, when: Any) -> str:
    return go_layouts.write(_moment(when), text(layout))


def _date_in_zone(layout: Any, when: Any, zone: Any) -> str:
    return go_layouts.write(_moment(when).astimezone(moments.zone(zone)), text(layout))


def _date_modified(span: Any, when: Any) -> datetime.datetime:
    return _moment(when) + values.duration(span)


def _ago(when: Any) -> str:
    passed = moments.now() - _moment(when)
    return values.duration_text(datetime.timedelta(seconds=round(passed.total_seconds())))


_TIMES: Final[_Table] = {
    "now": (0, 0, moments.now),
    "date": (2, 2, _date),
    "dateInZone": (3, 3, _date_in_zone),
    "dateModify": (2, 2, _date_modified),
    "date_modify": (2, 2, _date_modified),
    "toDate": (2, 2, lambda layout, value: moments.read(value, layout)),
    "unixEpoch": (1, 1, lambda when: str(int(_moment(when).timestamp()))),
    "htmlDate": (1, 1, lambda when: _date("2006-01-02", when)),
    "ago": (1, 1, _ago),
    "duration": (
        1,
        1,
        lambda seconds: values.duration_text(datetime.timedelta(seconds=_whole(seconds))),
    ),
}

FUNCTIONS: Final[Mapping[str, Function]] = {
    name: Function(f"sprig.{name}", least, most, run)
    for table in (_TEXTS, _PATTERNS, _LISTS, _MAPS, _NUMBERS, _LOGIC, _ENCODINGS, _TIMES)
    for name, (least, most, run) in table.items()
}
