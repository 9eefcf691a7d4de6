"""A line of progress for people: drawn again on a terminal, a line now and then elsewhere (a notebook, a file)."""

import shutil
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
            text: Shown as one line; on a terminal only what fits into one.
            last: Whether it is shown in any case, however short ago another one was.
        """
        text = text.replace("\n", " ")
        if text == self._text:
            return
        if self._terminal:
            shown = text[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r{shown.ljust(self._drawn)}")
            self._drawn = len(shown)
        elif last or time.monotonic() - self._shown_at > _PLAIN_SECONDS:
            self._write(f"{text}\n")
            self._shown_at = time.monotonic()
        else:
            # It is shown when enough time has gone by, if it is still so then.
            return
        self._text = text

    def close(self) -> None:
        """End the line."""
        if self._drawn:
            self._write("\n")

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
