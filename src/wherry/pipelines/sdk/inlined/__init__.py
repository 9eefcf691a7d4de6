"""What components bring along of Wherry: the text of these modules goes into their source.

Steps run wherever Kubeflow Pipelines does, on Python 3.9 and later, and Wherry is not there. Names begin with
``wherry_``, because they stand beside those of the user.
"""

import ast
import inspect
from types import ModuleType


def text(module: ModuleType) -> str:
    """Return the text of a module without its docstring."""
    whole = inspect.getsource(module)
    docstring = ast.parse(whole).body[0]
    return "\n".join(whole.splitlines()[docstring.end_lineno :]).strip() + "\n"
