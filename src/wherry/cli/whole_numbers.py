"""Whole numbers on the command line, checked as it is read."""

import argparse
from collections.abc import Callable
from typing import Final

_LARGEST: Final = 2**31 - 1


def whole(least: int, most: int = _LARGEST) -> Callable[[str], int]:
    """Return what reads a whole number; to be the `type` of an argument.

    Args:
        least: The least that is taken.
        most: The most.
    """

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r}: want a whole number from {least} to {most}"
            )
        return int(text)

    return read
