"""A line of progress for people: drawn again on a terminal, a line now and then elsewhere (a notebook, a file)."""

import sys
import time
from typing import Final

_PLAIN_SECONDS: Final = 5.0


class ProgressLine:
    """Writes to stdout. Not for several threads."""

    def __init__(self) -> None:
        """Look where it will be shown; nothing is yet."""
        self._terminal = sys.stdout.isatty()
        self._drawn = 0
        self._text = ""
        self._shown_at = float("-inf")

    def show(self, text: str, *, last: bool = False) -> None:
        """Show how far something is; the same again is not shown.

        Args:
            text: One line.
            last: Whether it is shown in any case, however short ago another one was.
        """
        if text == self._text:
            return
        if self._terminal:
            self._write(f"\r{text.ljust(self._drawn)}")
            self._drawn = len(text)
        elif last or time.monotonic() - self._shown_at > _PLAIN_SECONDS:
            self._write(f"{text}\n")
            self._shown_at = time.monotonic()
        self._text = text

    def close(self) -> None:
        """End the line."""
        if self._drawn:
            self._write("\n")

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
