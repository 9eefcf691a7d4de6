"""The file in an image that says which module holds which component."""

import configparser
from pathlib import Path

NAME = "kfp_config.ini"
_SECTION = "Components"


def components(folder: Path) -> "dict[str, Path]":
    """Return the module of each component in a folder's file; without one, none."""
    parser = configparser.ConfigParser()
    # Names of functions keep their capitals.
    parser.optionxform = str  # type: ignore[assignment,method-assign] # how the module is told so
    parser.read(folder / NAME, encoding="utf-8")
    if not parser.has_section(_SECTION):
        return {}
    return {name: Path(path) for name, path in parser[_SECTION].items()}
