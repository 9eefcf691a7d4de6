"""The part of KFP's SDK that runs inside a component, with the SDK's names.

Where the SDK itself is installed, and a component is started as the SDK would, this steps aside.
"""

import os
import sys
from typing import Any

__version__ = "2.17.0"
"""Of the SDK whose executor this equals."""
TYPE_CHECK = True
# Within Wherry it has another name, and is what it is whatever is installed beside.
_WHOLE = __name__ == "kfp" and os.environ.get("WHERRY_KFP_RUNTIME") != "true"


def _installed() -> "str | None":
    """Return the folder of another ``kfp`` on the path; None where there is none."""
    own = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100,PTH120 - pathlib costs each start
    for entry in sys.path:
        folder = os.path.join(os.path.abspath(entry), "kfp")  # noqa: PTH100,PTH118 - likewise
        if folder != own and os.path.isfile(os.path.join(folder, "__init__.py")):  # noqa: PTH113,PTH118 - likewise
            return folder
    return None


def _become(folder: str) -> None:
    """Let this module be the package of a folder."""
    path = os.path.join(folder, "__init__.py")  # noqa: PTH118 - as above
    names = globals()
    names["__path__"] = [folder]
    names["__file__"] = path
    names["__spec__"].submodule_search_locations = [folder]
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        exec(compile(file.read(), path, "exec"), names)  # noqa: S102 - the package that the image brings


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module 'kfp' has no attribute {name!r} inside a step: only what components need is here; "
        "put kfp into the component's packages_to_install to have all of it"
    )


_found = _installed() if _WHOLE else None
if _found:
    del __getattr__
    _become(_found)
