"""Lines of all ranks on a terminal or in a notebook, with progress below them."""

import sys
import time
from typing import Any, Final

from wherry.training.sdk import frames, progress
from wherry.training.sdk.frames import Line

_KEPT: Final = 1000
_REDRAW_SECONDS: Final = 0.1
_PLAIN_SECONDS: Final = 5.0
_WIDTH: Final = 110


class Display:
    """Prints lines to stdout, with progress.

    On a terminal progress is the last line and is drawn again; elsewhere (a notebook, a file) it is
    a line every few seconds.
    """

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._reports: list[dict[str, Any]] = []
        self._drawn = 0
        self._shown_at = float("-inf")
        self._pending = False

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pending:
            self._draw()
        if self._drawn:
            self._write("\n")

    def show(self, line: Line) -> None:
        """Show a line, or the progress that it tells."""
        values = frames.metrics(line)
        if values is not None:
            # The first of a rank tells the rate; of very long runs the latest are enough.
            self._reports = [*self._reports[-_KEPT:], values]
            self._pending = True
            if time.monotonic() - self._shown_at > self._pause:
                self._draw()
        if line.text is not None:
            self._clear()
            self._write(f"{line}\n")
            if self._terminal and self._reports:
                self._draw()

    @property
    def _pause(self) -> float:
        return _REDRAW_SECONDS if self._terminal else _PLAIN_SECONDS

    def _draw(self) -> None:
        text = str(progress.of(self._reports))[:_WIDTH]
        self._shown_at, self._pending = time.monotonic(), False
        if not self._terminal:
            self._write(f"{text}\n")
            return
        self._write(f"\r{text.ljust(self._drawn)}")
        self._drawn = len(text)

    def _clear(self) -> None:
        if self._drawn:
            self._write(f"\r{' ' * self._drawn}\r")
            self._drawn = 0

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
