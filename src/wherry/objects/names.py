"""What Kubernetes lets a thing be called, and how it makes up names.

Each rule takes the text and returns what is wrong with it, one sentence a problem; an empty list
means the name is good. The caller puts the sentences into the causes of an `InvalidError`.

Source: `k8s.io/apimachinery/pkg/util/validation` (patterns, lengths) and `util/rand` (alphabet).
"""

import hashlib
import re
import secrets

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""What generated names end in: no vowels, so that no words appear, and nothing easily misread."""

MAX_GENERATED_PREFIX = 58
"""How much of ``generateName`` is kept, so that a generated name fits a DNS label of 63."""

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_ENV_VAR = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

_LABEL_PATTERN = re.compile(_LABEL)
_SUBDOMAIN_PATTERN = re.compile(_SUBDOMAIN)
_DNS1035_PATTERN = re.compile(_DNS1035)
_QUALIFIED_PATTERN = re.compile(_QUALIFIED)
_LABEL_VALUE_PATTERN = re.compile(_LABEL_VALUE)
_ENV_VAR_PATTERN = re.compile(_ENV_VAR)
_CONFIG_KEY_PATTERN = re.compile(_CONFIG_KEY)
_PORT_NAME_PATTERN = re.compile("[-a-z0-9]+")


def dns_label(text: str) -> list[str]:
    """Check a lowercase RFC 1123 label: names of namespaces, containers, volumes."""
    problems = _too_long(text, 63)
    if len(problems) == 0 and _LABEL_PATTERN.fullmatch(text):
        return problems
    if not _LABEL_PATTERN.fullmatch(text):
        if _is_subdomain(text):
            return [*problems, "must not contain dots"]
        what = "a lowercase RFC 1123 label has only lowercase letters, digits and '-'"
        problems.append(_mismatch(f"{what}, {_ENDS}", _LABEL, "my-name", "123-abc"))
    return problems


def dns_subdomain(text: str) -> list[str]:
    """Check a lowercase RFC 1123 subdomain: names of most objects, API groups."""
    problems = _too_long(text, 253)
    if not _is_subdomain(text):
        what = "a lowercase RFC 1123 subdomain has only lowercase letters, digits, '-' and '.'"
        problems.append(_mismatch(f"{what}, {_ENDS}", _SUBDOMAIN, "example.com"))
    return problems


def dns1035_label(text: str) -> list[str]:
    """Check an RFC 1035 label: names of services."""
    problems = _too_long(text, 63)
    if not _DNS1035_PATTERN.fullmatch(text):
        what = "an RFC 1035 label has only lowercase letters, digits and '-', starts with a letter"
        problems.append(
            _mismatch(f"{what} and ends with a letter or digit", _DNS1035, "my-name", "abc-123")
        )
    return problems


def path_segment(text: str) -> list[str]:
    """Check a name that must only fit into a URL: names of roles and role bindings."""
    if text in {".", ".."}:
        return [f"may not be '{text}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in text]


def label_key(text: str) -> list[str]:
    """Check a qualified name, ``[prefix/]name``: keys of labels and annotations, finalizers."""
    prefix, slash, name = text.rpartition("/")
    problems: list[str] = []
    if "/" in prefix:
        return ["a qualified name has at most one '/': [prefix/]name, e.g. 'example.com/MyName'"]
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        problems += [f"prefix part {problem}" for problem in dns_subdomain(prefix)]
    if not name:
        return [*problems, "name part must be non-empty"]
    problems += [f"name part {problem}" for problem in _too_long(name, 63)]
    if not _QUALIFIED_PATTERN.fullmatch(name):
        what = f"name part has only letters, digits, '-', '_' and '.', {_ENDS}"
        problems.append(_mismatch(what, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return problems


def label_value(text: str) -> list[str]:
    """Check the value of a label; it may be empty."""
    problems = _too_long(text, 63)
    if not _LABEL_VALUE_PATTERN.fullmatch(text):
        what = "a label value is empty or has only letters, digits, '-', '_' and '.'"
        problems.append(_mismatch(f"{what}, {_ENDS}", _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return problems


def env_var(text: str) -> list[str]:
    """Check the name of an environment variable."""
    problems = _climbs(text)
    if not _ENV_VAR_PATTERN.fullmatch(text):
        what = "an environment variable has only letters, digits, '_', '-' and '.', no digit first"
        problems.insert(0, _mismatch(what, _ENV_VAR, "my.env-name", "MY_ENV.NAME", "MyEnvName1"))
    return problems


def config_key(text: str) -> list[str]:
    """Check a key of a ConfigMap or Secret, which may become the name of a file."""
    problems = _too_long(text, 253)
    if not _CONFIG_KEY_PATTERN.fullmatch(text):
        what = "a config key has only letters, digits, '-', '_' and '.'"
        problems.append(_mismatch(what, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return problems + _climbs(text)


def port_name(text: str) -> list[str]:
    """Check the name of a container's port (an IANA service name)."""
    problems = _too_long(text, 15)
    if not _PORT_NAME_PATTERN.fullmatch(text):
        problems.append("must have only lowercase letters, digits and '-'")
    if not any("a" <= character <= "z" for character in text):
        problems.append("must contain at least one letter (a-z)")
    if "--" in text:
        problems.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def generate(prefix: str) -> str:
    """Return a name for ``generateName``: the prefix, cut to 58, and five random characters.

    The name is likely, not surely, free: the caller tries again on a clash.
    """
    ending = "".join(secrets.choice(ALPHABET) for _ in range(5))
    return prefix[:MAX_GENERATED_PREFIX] + ending


def suffix(seed: str, length: int = 5) -> str:
    """Return characters of `ALPHABET` that depend on nothing but ``seed``.

    Args:
        seed: What the name stands for; equal seeds give equal suffixes, on every machine.
        length: How many characters, 1 to 50.

    Raises:
        ValueError: the length is out of range.
    """
    if not 1 <= length <= 50:
        raise ValueError(f"length of a suffix must be from 1 to 50, not {length}")
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest())
    characters = []
    for _ in range(length):
        number, index = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[index])
    return "".join(characters)


_ENDS = "and starts and ends with a letter or digit"


def _is_subdomain(text: str) -> bool:
    return _SUBDOMAIN_PATTERN.fullmatch(text) is not None


def _too_long(text: str, limit: int) -> list[str]:
    # Kubernetes counts bytes; whatever is not ASCII is refused by the pattern anyway.
    return (
        [f"must be no more than {limit} characters"]
        if len(text.encode(errors="replace")) > limit
        else []
    )


def _mismatch(what: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}'" for example in examples)
    return f"{what} (e.g. {shown}; the pattern is '{pattern}')"


def _climbs(text: str) -> list[str]:
    if text in {".", ".."}:
        return [f"must not be '{text}'"]
    return ["must not start with '..'"] if text.startswith("..") else []
