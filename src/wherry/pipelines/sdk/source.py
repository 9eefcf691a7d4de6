"""The source of a component's function, and the command that runs it where Wherry is not.

The command has the two layers that upstream's components have, so that a compiled pipeline runs there as well; here
they are recognised (`wherry.pipelines.commands`), and nothing is installed when a step starts.
"""

import ast
import builtins
import inspect
import shlex
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from wherry.pipelines.runtime.kfp import dsl
from wherry.pipelines.sdk.errors import CompileError

KFP: Final = "2.17.0"
"""The version of upstream's SDK that components ask for where Wherry's runtime is not."""

_PRELUDE: Final = """
import kfp
from kfp import dsl
from kfp.dsl import *
from typing import *
"""
_INSTALL: Final = """
if ! [ -x "$(command -v pip)" ]; then
    python3 -m ensurepip || python3 -m ensurepip --user || apt-get install python3-pip
fi

PIP_DISABLE_PIP_VERSION_CHECK=1 {installs} && "$0" "$@"
"""
_PIP: Final = "python3 -m pip install --quiet --no-warn-script-location"
_RUN: Final = """program_path=$(mktemp -d)

printf "%s" "$0" > "$program_path/ephemeral_component.py"
_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main --component_module_path "$program_path/ephemeral_component.py" "$@"
"""
_OURS: Final = ("wherry.pipelines", dsl.__name__)


def module(function: Callable[..., Any]) -> str:
    """Return a module with nothing but a function, as a step gets it.

    Raises:
        CompileError: The source cannot be had, or an annotation names what is not known there.
    """
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise CompileError(
            f"{function.__name__}: its source cannot be read ({error}); define it in a file or a notebook"
        ) from error
    tree = ast.parse(text).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise CompileError(f"{function.__name__}: a component must be a function with def")
    lines = text.splitlines()[tree.lineno - 1 :]
    names = "".join(f"{line}\n" for line in _names(function, tree))
    return f"{_PRELUDE}{names}\n" + "\n".join(lines) + "\n\n"


def command(packages: Sequence[str], indexes: Sequence[str]) -> list[str]:
    """Return the command of a component, but for its source, which comes after.

    Args:
        packages: What pip should install.
        indexes: Where from, besides the default; the first instead of it.
    """
    options: list[str] = []
    for place, index in enumerate(indexes):
        options += ["--index-url" if place == 0 else "--extra-index-url", index]
    own = [f"'kfp=={KFP}'", "'--no-deps'", "'typing-extensions>=3.7.4,<5; python_version<\"3.9\"'"]
    installs = [" ".join([_PIP, *map(shlex.quote, options), *own])]
    if packages:
        installs.insert(0, " ".join([_PIP, *map(shlex.quote, options), *map(_quoted, packages)]))
    text = _INSTALL.replace("{installs}", "  &&  ".join(installs))
    return ["sh", "-c", text, "sh", "-ec", _RUN]


def _quoted(package: str) -> str:
    return "'" + package.replace("'", "'\"'\"'") + "'"


def _names(function: Callable[..., Any], tree: ast.FunctionDef) -> Iterator[str]:
    """Yield what makes the names known that annotations and defaults use."""
    arguments = [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]
    parts = [each.annotation for each in arguments] + [tree.returns, *tree.args.defaults]
    parts += tree.args.kw_defaults
    used = {
        node.id
        for part in parts
        if part is not None
        for node in ast.walk(part)
        if isinstance(node, ast.Name)
    }
    for name in sorted(used):
        if hasattr(builtins, name) or name in typing.__all__ or _is_known(function, name):
            continue
        value: Any = function.__globals__.get(name)
        if isinstance(value, types.ModuleType):
            if not value.__name__.startswith(_OURS):
                yield f"import {value.__name__}" + f" as {name}" * (name != value.__name__)
            elif name != "dsl":
                yield f"{name} = dsl"
        elif value is not None and getattr(dsl, called := _called(value), None) is value:
            yield f"{name} = {called}"
        elif hasattr(value, "_fields"):
            hints = typing.get_type_hints(value)
            fields = ", ".join(f"({key!r}, {_called(hints[key])})" for key in hints)
            yield f"{name} = NamedTuple({name!r}, [{fields}])"
        else:
            raise CompileError(
                f"{function.__name__}: {name} is not known in the step, where there is the function alone: "
                "use types of Python, typing and wherry.pipelines"
            )


def _called(value: Any) -> str:
    return str(getattr(value, "__name__", ""))


def _is_known(function: Callable[..., Any], name: str) -> bool:
    """Tell whether a name is the same in the step, by the prelude."""
    return hasattr(dsl, name) and function.__globals__.get(name) is getattr(dsl, name)
