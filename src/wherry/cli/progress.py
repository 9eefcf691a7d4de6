"""Says what a command waits for, once that takes longer than a second."""

import shutil
import sys
import time

_PATIENCE_SECONDS = 1.0


class Progress:
    """One line on stderr that is rewritten on a terminal; elsewhere a line for each new text."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._shown = ""
        self._width = 0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._width:
            print(f"\r{' ' * self._width}\r", end="", file=sys.stderr, flush=True)
            self._width = 0

    def show(self, text: str) -> None:
        """Show what is waited for; call it as often as you like."""
        elapsed, text = time.monotonic() - self._began, text.replace("\n", " ")
        if elapsed < _PATIENCE_SECONDS:
            return
        if self._terminal:
            took = f" ({elapsed:.0f} s)"
            line = text[: shutil.get_terminal_size().columns - 1 - len(took)] + took
            print(f"\r{line.ljust(self._width)}", end="", file=sys.stderr, flush=True)
            self._width = len(line)
        elif text != self._shown:
            print(text, file=sys.stderr, flush=True)
        self._shown = text
