"""How a run is shown in a notebook: its state, what it gave, and its picture, drawn anew while it goes on."""

import html
import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from wherry.pipelines import runs

_MOST_OUTPUTS: Final = 20
_LONGEST: Final = 1000


def cell() -> Callable[[str], None] | None:
    """Return what shows HTML below a notebook's cell, each time in place of the last; None: this is no notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return None
    display = importlib.import_module("IPython.display")
    shown = display.display(display.HTML(""), display_id=True)
    return lambda text: shown.update(display.HTML(text))


def page(words: str, outputs: Mapping[str, Any], picture: str) -> str:
    """Return a run as HTML.

    Args:
        words: How far it is.
        outputs: What it gave; the first of them are shown.
        picture: SVG.
    """
    shown = [*outputs.items()][:_MOST_OUTPUTS]
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td><code>{html.escape(_short(runs.shown(value)))}</code></td></tr>"
        for name, value in shown
    )
    table = f"<table>{rows}</table>" if rows else ""
    return f"<div><p>{html.escape(words)}</p>{table}{picture}</div>"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
