"""Says what went wrong in a build, and what may help. Pure."""

import re

_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"was not found in the package registry|not found in the provided package locations",
        "check the spelling of the package in spec.requirements",
    ),
    (
        r"No solution found|unsatisfiable|conflict",
        "loosen the versions in spec.requirements, or choose another spec.python",
    ),
    (
        r"dns error|Failed to fetch|error sending request|timed out|Connection refused|offline",
        "check the network; UV_DEFAULT_INDEX, HTTPS_PROXY and SSL_CERT_FILE of Wherry's own environment count",
    ),
    (
        r"Failed to build|build backend|gcc|clang|command 'cc' failed",
        "a package has to be compiled: choose a version with a wheel for this Python, or install a compiler",
    ),
    (r"No space left", "free some disk space"),
    (r"Expected|Couldn't parse|expected one of", "spec.requirements takes lines such as numpy>=2"),
)


def is_unsatisfiable(text: str) -> bool:
    """Return whether a message says that the versions asked for do not exist together."""
    return (
        re.search(r"No solution found|unsatisfiable|no wheels? with a matching", text) is not None
    )


def explain(code: int, lines: list[str]) -> str:
    """Return a message for people.

    Args:
        code: uv's exit code.
        lines: The last lines it wrote.
    """
    text = "\n".join(lines) or f"uv ended with code {code} and no message"
    for pattern, hint in _HINTS:
        if re.search(pattern, text):
            return f"{text}\nhint: {hint}"
    return text
