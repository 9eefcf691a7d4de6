"""From the words that were typed to an exit code; every error becomes one line here."""

import contextlib
import importlib
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence

from wherry.cli import arguments, failures


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        words: What was typed after ``wherry``; None takes the process's own arguments.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 3 not running (`status`), 130 interrupted.
    """
    options = Namespace(verbose=False)
    try:
        options = arguments.parse(words)
        module = importlib.import_module(f"wherry.cli.verbs.{options.verb}")
        code: int = module.run(options)
        sys.stdout.flush()
    except SystemExit as end:  # argparse: --help, or a usage error that it has printed
        return end.code if isinstance(end.code, int) else failures.USAGE
    except KeyboardInterrupt:
        return failures.INTERRUPTED
    except BrokenPipeError:
        _close_quietly()
        return failures.BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last one to catch it; --verbose shows all of it
        if options.verbose:
            traceback.print_exc()
        print(f"wherry: {describe(error)}", file=sys.stderr)
        return error.code if isinstance(error, failures.CommandError) else failures.FAILURE
    return code


def describe(error: Exception) -> str:
    """Return what to tell a person about an error, in one line where it can be."""
    # Loaded only now: whatever raised it has paid for these imports already.
    from wherry.client.connections import ConfigurationError  # noqa: PLC0415 - as said
    from wherry.objects.errors import ApiError  # noqa: PLC0415 - as said

    if isinstance(error, failures.CommandError | ApiError | ConfigurationError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}"
    if type(error).__name__.endswith("LauncherError"):
        return str(error)
    return f"unexpected {type(error).__name__}: {error} (--verbose shows where)"


def _close_quietly() -> None:
    # The interpreter flushes stdout once more at its end; nobody reads it.
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
