"""`wherry version`."""

import platform
from argparse import Namespace

import wherry
from wherry.cli import failures


def run(_: Namespace) -> int:
    """Print which Wherry this is, and on which Python."""
    print(f"wherry {wherry.__version__} (Python {platform.python_version()})")
    return failures.SUCCESS
