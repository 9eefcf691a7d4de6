"""The command line: `wherry up`, `apply`, `get`, `why` and the rest.

It must start in milliseconds, so modules that are loaded for every command import nothing but a few
light parts of the standard library; each verb imports what it needs when it runs.
"""

from wherry.cli.entry import main

__all__ = ["main"]
