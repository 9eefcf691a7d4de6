"""One request on its way through the registry: what is asked, by whom, and what to tell them besides."""

from collections.abc import Callable
from dataclasses import dataclass, field

from wherry.apiserver.identity import User
from wherry.objects import errors
from wherry.objects.requests import Request

_MAX_INT = 2**63 - 1


def is_true(text: str | None) -> bool:
    """Return what a query parameter stands for that is a boolean.

    Absent, ``false`` and ``0`` stand for false; everything else is true, and so is a parameter without
    a value. Source: `Convert_Slice_string_To_bool` of apimachinery.

    Args:
        text: As it was sent; None where it was not.
    """
    return text is not None and text != "0" and text.lower() != "false"


@dataclass(slots=True)
class Call:
    """A request with its circumstances.

    Attributes:
        request: What is asked.
        user: Who asks.
        duplicates: Paths that occur twice in the body; a parsed body cannot tell any more.
        warnings: Collected on the way, for ``Warning`` headers.
        agent: The client's ``User-Agent``; empty where it has none.
        check: Refuses, with `ForbiddenError`, what the user may not do: for requests that turn out to be
            others too. None where nobody is asked.
    """

    request: Request
    user: User
    duplicates: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    agent: str = ""
    check: Callable[[Request], None] | None = None

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be stored."""
        value = self.request.options.get("dryRun", "")
        if value in {"", "All"}:
            return value == "All"
        raise errors.invalid(
            f"{self.request.verb.capitalize()}Options",
            "",
            [
                errors.Cause(
                    "dryRun",
                    f'Unsupported value: "{value}": supported values: "All"',
                    "FieldValueNotSupported",
                )
            ],
            "meta.k8s.io",
        )

    @property
    def field_validation(self) -> str:
        """``Strict``, ``Warn`` or ``Ignore``."""
        value = self.request.options.get("fieldValidation") or "Warn"
        if value in {"Strict", "Warn", "Ignore"}:
            return value
        raise errors.invalid(
            f"{self.request.verb.capitalize()}Options",
            "",
            [
                errors.Cause(
                    "fieldValidation",
                    f'Unsupported value: "{value}": supported values: "Ignore", "Strict", "Warn"',
                    "FieldValueNotSupported",
                )
            ],
            "meta.k8s.io",
        )

    def flag(self, name: str) -> bool:
        """Return a boolean option; see `is_true`."""
        return is_true(self.request.options.get(name))

    def number(self, name: str) -> int | None:
        """Return an integer option, None where it is not given.

        Raises:
            BadRequestError: It is not a whole number of at least 0.
        """
        text = self.request.options.get(name, "")
        if not text:
            return None
        if text.isascii() and text.isdigit() and int(text[:20]) <= _MAX_INT and len(text) < 20:
            return int(text)
        raise errors.BadRequestError(
            f'the query parameter {name} has the value "{text[:40]}": a whole number of at least 0 is accepted'
        )
