"""Names in workflows: of templates, steps, parameters; each once in its list."""

import re
from collections.abc import Iterable
from typing import Final, Protocol

from wherry.pipelines.ir.reading import shown
from wherry.pipelines.workflows.checking.findings import DUPLICATE, REQUIRED, Findings

_NODE: Final = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_VALUE: Final = re.compile(r"[-a-zA-Z0-9_]+")
_TAG: Final = re.compile(r"\{\{.*?\}\}")
_LONGEST: Final = 128
OF_NODES: Final = "letters, digits and '-', beginning with a letter or a digit, at most 128 of them"
OF_VALUES: Final = "letters, digits, '_' and '-'"


class Named(Protocol):
    """Something that has a name."""

    @property
    def name(self) -> str:
        """The name."""


def nodes(found: Findings, where: str, named: Iterable[Named]) -> None:
    """Check the names of templates, steps, tasks or containers; variables in them are filled in later."""
    for place, each in enumerate(named):
        plain = _TAG.sub("x", each.name)
        well = len(each.name) <= _LONGEST and _NODE.fullmatch(plain)
        _one(found, f"{where}[{place}].name", each.name, well=bool(well), wanted=OF_NODES)
    _unique(found, where, named)


def values(found: Findings, where: str, named: Iterable[Named]) -> None:
    """Check the names of parameters or artifacts."""
    for place, each in enumerate(named):
        well = value(_TAG.sub("x", each.name))
        _one(found, f"{where}[{place}].name", each.name, well=well, wanted=OF_VALUES)
    _unique(found, where, named)


def value(name: str) -> bool:
    """Tell whether a parameter or artifact may have a name."""
    return _VALUE.fullmatch(name) is not None


def _one(found: Findings, field: str, name: str, *, well: bool, wanted: str) -> None:
    if not name:
        found.add(field, "a name is missing", REQUIRED)
    elif not well:
        found.add(field, f"{shown(name)} is no name here: use {wanted}")


def _unique(found: Findings, where: str, named: Iterable[Named]) -> None:
    seen: set[str] = set()
    for place, each in enumerate(named):
        if each.name and each.name in seen:
            found.add(f"{where}[{place}].name", f"{shown(each.name)} is there twice", DUPLICATE)
        seen.add(each.name)
