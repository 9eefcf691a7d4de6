"""What a function's docstring says of it, and of what it takes and gives, in Google's form."""

import re
from typing import Final

ARGUMENTS: Final = ("Args:", "Arguments:")
RETURNS: Final = ("Returns:", "Return:")
_HEADING: Final = re.compile(r"[A-Z][A-Za-z ]*:")
_ENTRY: Final = re.compile(r"(\w+)\s*(?:\([^)]*\))?:\s*(.*)")


def summary(text: str) -> str:
    """Return what stands before the first section."""
    lines = text.splitlines()
    end = next((at for at, line in enumerate(lines) if _HEADING.fullmatch(line)), len(lines))
    first, *rest = lines[:end] or [""]
    more = "\n".join(rest).strip()
    return f"{first}\n{more}".strip()


def entries(text: str, headings: tuple[str, ...]) -> dict[str, str]:
    """Return what is said of each name in a section.

    Args:
        text: The docstring, without its indentation.
        headings: The section's.
    """
    found: dict[str, str] = {}
    name, margin = "", 0
    for line in _section(text, headings):
        indent = len(line) - len(line.lstrip())
        entry = _ENTRY.fullmatch(line.strip()) if not name or indent <= margin else None
        if entry is not None:
            name, margin = entry[1], indent
            found[name] = entry[2]
        elif name:
            found[name] = f"{found[name]}\n{line.strip()}".strip()
    return found


def _section(text: str, headings: tuple[str, ...]) -> list[str]:
    lines = text.splitlines()
    begin = next((at + 1 for at, line in enumerate(lines) if line in headings), len(lines))
    end = next((at for at in range(begin, len(lines)) if lines[at][:1].strip()), len(lines))
    return lines[begin:end]
