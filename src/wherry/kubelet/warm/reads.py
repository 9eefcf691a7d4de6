"""Which variables were looked at while modules were imported.

A child whose variables differ in one of them would not be what a cold start gives.
"""

import os
import sys
from collections.abc import Iterator, Mapping

_LOOKERS = frozenset({"os", "posixpath", "collections.abc"})
_REPAIRED = frozenset({"sysconfig", "site"})
"""What these kept of the home folder is forgotten in the child (`renewal`)."""


class Reads:
    """Notes reads of ``os.environ`` until ``stop``."""

    def __init__(self) -> None:
        self._original = type(os.environ)
        self._before = dict(os.environ)
        self._values: dict[str, str | None] = {}
        self.all = False
        """Whether someone went through all of them."""
        reads = self

        class Noted(self._original):  # type: ignore[name-defined,misc]  # the class of os.environ has no public name
            def __getitem__(self, name: str) -> str:
                try:
                    value: str = super().__getitem__(name)
                except KeyError:
                    reads._note(name, None)
                    raise
                reads._note(name, value)
                return value

            def __iter__(self) -> Iterator[str]:
                reads.all = True
                return super().__iter__()  # type: ignore[no-any-return]  # as above

        os.environ.__class__ = Noted

    def _note(self, name: str, value: str | None) -> None:
        frame = sys._getframe(2)  # noqa: SLF001 — the interpreter's own way to ask who calls
        while frame.f_back is not None and frame.f_globals.get("__name__") in _LOOKERS:
            frame = frame.f_back
        if frame.f_globals.get("__name__") not in _REPAIRED:
            self._values.setdefault(name, value)

    def stop(self) -> None:
        """Note nothing more."""
        os.environ.__class__ = self._original

    @property
    def names(self) -> frozenset[str]:
        """What was looked at."""
        return frozenset(self._values)

    def changed(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return ``environment`` as it would be had the modules been imported there: some set variables."""
        after = {
            name: value for name, value in os.environ.items() if self._before.get(name) != value
        }
        gone = self._before.keys() - os.environ.keys()
        kept = {name: value for name, value in environment.items() if name not in gone}
        return {**kept, **after}

    def difference(self, environment: Mapping[str, str]) -> str:
        """Return a variable that was looked at and is another in ``environment``; empty if there is none."""
        for name, value in self._values.items():
            if environment.get(name) != value:
                return name
        return ""
