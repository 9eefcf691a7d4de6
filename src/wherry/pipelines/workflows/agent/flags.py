"""What a resource template tells kubectl beside its manifest, as far as it has a meaning here."""

from collections.abc import Sequence
from typing import Final

from wherry.pipelines.workflows.agent.failing import AgentError

_VALUED: Final = {
    "-n": "namespace",
    "--namespace": "namespace",
    "-l": "selector",
    "--selector": "selector",
}
_WITHOUT_MEANING: Final = frozenset({
    "--force", "--grace-period", "--ignore-not-found", "--cascade", "--save-config", "--overwrite",
    "--server-side", "--force-conflicts", "--field-manager", "--timeout", "--request-timeout", "-o", "--output",
})  # fmt: skip
"""They change how kubectl works, or what happens anyway."""
_ALONE: Final = frozenset({
    "--force", "--ignore-not-found", "--save-config", "--overwrite", "--server-side", "--force-conflicts",
    "--cascade",
})  # fmt: skip
"""Of these, those that take a value only after an equals sign."""


class Flags:
    """The flags of one template.

    Attributes:
        kind: The first word that is no flag; empty: none.
        name: The second, or what is after a slash.
        namespace: Of ``-n``.
        selector: Of ``-l``.
        validation: What is done about unknown fields: ``Strict``, ``Warn`` or ``Ignore``.
        waits: Whether what is deleted has to be gone.
    """

    def __init__(self, flags: Sequence[str]) -> None:
        """Read them.

        Raises:
            AgentError: one has no meaning that is known.
        """
        self.kind = self.name = self.namespace = self.selector = ""
        self.validation = "Strict"
        self.waits = True
        words = [*flags][::-1]
        while words:
            self._take(words.pop(), words)

    def _take(self, word: str, rest: list[str]) -> None:
        name, has_value, value = word.partition("=")
        if not word.startswith("-"):
            self._place(word)
        elif name in _VALUED:
            setattr(self, _VALUED[name], value if has_value else _next(name, rest))
        elif name == "--validate":
            told = {"false": "Ignore", "ignore": "Ignore", "warn": "Warn"}
            self.validation = told.get(value.lower(), "Strict")
        elif name == "--wait":
            self.waits = value.lower() != "false"
        elif name in _WITHOUT_MEANING:
            if not has_value and name not in _ALONE:
                _next(name, rest)
        else:
            raise AgentError(
                f"flag {name}: not supported; there are -n, -l, --validate, --wait and a kind with a name"
            )

    def _place(self, word: str) -> None:
        kind, slash, name = word.partition("/")
        if slash and not self.kind:
            self.kind, self.name = kind, name
        elif not self.kind:
            self.kind = word
        elif not self.name:
            self.name = word
        else:
            raise AgentError(f"flags: {word!r}: one kind and one name are taken")


def _next(name: str, rest: list[str]) -> str:
    if not rest:
        raise AgentError(f"flag {name}: its value is missing")
    return rest.pop()
