"""A command line of Python, taken apart as the interpreter does it. Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["script", "command", "module", "stdin"]

_PLAIN = frozenset("bBEIOPqRsSu")
"""Options that a warmed process can be started with; the rest (-i, -v, -x …) is for a cold start."""
_X = frozenset({
    "dev", "utf8", "faulthandler", "no_debug_ranges", "int_max_str_digits", "warn_default_encoding", "frozen_modules",
})  # fmt: skip


class Command(NamedTuple):
    """What the interpreter is asked to do."""

    flags: tuple[str, ...]
    """Options of the interpreter itself, each as one word or a word and its value."""
    kind: Kind
    target: str
    """File, program text or module; of `stdin` what `sys.argv[0]` becomes."""
    arguments: tuple[str, ...]
    """The program's own."""


def parse(words: Sequence[str]) -> Command | None:
    """Take a command line apart.

    Args:
        words: What follows the interpreter's name.

    Returns:
        The command, or None if only a cold start can do it.
    """
    flags: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "-":
            return Command(tuple(flags), "stdin", "-", tuple(rest))
        if word == "--" or not word.startswith("-"):
            rest[:0] = [] if word == "--" else [word]
            break
        found = _options(word[1:], rest, flags)
        if not found:
            return None
        if not isinstance(found, bool):
            return Command(tuple(flags), found, rest.pop(0), tuple(rest))
    if rest:
        return Command(tuple(flags), "script", rest[0], tuple(rest[1:]))
    return Command(tuple(flags), "stdin", "", ())


def _options(letters: str, rest: list[str], flags: list[str]) -> Kind | bool:
    """Take in one word of options; False if one is not for us, a kind if its value is at the head of ``rest``."""
    for at, letter in enumerate(letters):
        if letter in _PLAIN:
            flags.append(f"-{letter}")
            continue
        if letter not in "cmWX":
            return False
        if letters[at + 1 :]:
            rest.insert(0, letters[at + 1 :])
        if not rest:
            return False
        if letter in "cm":
            return "command" if letter == "c" else "module"
        value = rest.pop(0)
        if letter == "X" and value.partition("=")[0] not in _X:
            return False
        flags += [f"-{letter}", value]
        return True
    return True
