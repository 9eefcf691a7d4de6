"""Rules of kinds that are imported with the first object that they are asked of: some are large."""

import importlib
from collections.abc import Callable
from typing import Any


class Late:
    """A function that is imported when it is called for the first time."""

    def __init__(self, module: str, name: str) -> None:
        """Take where it is.

        Args:
            module: Name of its module.
            name: Of the function.
        """
        self._module = module
        self._name = name
        self._found: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        if self._found is None:
            self._found = self.load()
        return self._found(*arguments)

    def load(self) -> Callable[..., Any]:
        """Return it, imported.

        Raises:
            AttributeError: there is no such function.
            ImportError: there is no such module.
        """
        found: Callable[..., Any] = getattr(importlib.import_module(self._module), self._name)
        return found
