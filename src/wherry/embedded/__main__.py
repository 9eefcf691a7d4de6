"""Runs one platform until it is told to stop: `python -m wherry.embedded`, what `wherry up` starts."""

import gc
from collections.abc import Sequence
from typing import NoReturn


def main_and_exit(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the platform, then end the process with the exit code."""
    # What a start imports and makes stays, and the collector would go through it all again and again
    # meanwhile: a fifth of the time of the imports, two thirds of that of the rest. It is turned on
    # when the platform is ready.
    gc.disable()
    from wherry.embedded import process  # noqa: PLC0415 - the imports that this is about

    process.main_and_exit(arguments)


if __name__ == "__main__":
    main_and_exit()
