"""The source of a component's function, as a step gets it."""

import ast
import builtins
import inspect
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from wherry.pipelines.runtime.kfp import dsl
from wherry.pipelines.runtime.kfp.dsl.types import type_annotations
from wherry.pipelines.sdk.errors import CompileError

_PRELUDE: Final = """
import kfp
from kfp import dsl
from kfp.dsl import *
from typing import *
"""
_OURS: Final = ("wherry.pipelines", dsl.__name__)
_MOST_BYTES: Final = 128 * 1024 - 1
"""What Linux takes as one argument, with the zero at its end."""


def module(
    function: Callable[..., Any], others: Sequence[Callable[..., Any]] = (), before: str = ""
) -> str:
    """Return a module with a function, as a step gets it.

    Args:
        function: The function.
        others: More of them, which it calls.
        before: Text that comes first.

    Raises:
        CompileError: The source cannot be had, or is too long, or an annotation names what is not known there.
    """
    names: list[str] = []
    texts = []
    for each in (*others, function):
        tree, text = _parsed(each)
        names += [line for line in _names(each, tree) if line not in names]
        texts.append(text)
    head = _PRELUDE + "".join(f"{line}\n" for line in names)
    whole = "\n\n".join([head, *([before] if before else []), *texts])
    if len(whole.encode()) > _MOST_BYTES:
        raise CompileError(
            f"{function.__name__}: its source with all that it brings has {len(whole.encode())} bytes, and a "
            f"command takes {_MOST_BYTES}: give large files as artifacts, or put them into the image"
        )
    return whole


def _parsed(function: Callable[..., Any]) -> tuple[ast.FunctionDef, str]:
    """Return a function's tree, and its text without decorators."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise CompileError(
            f"{function.__name__}: its source cannot be read ({error}); define it in a file or a notebook"
        ) from error
    tree = ast.parse(text).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise CompileError(f"{function.__name__}: a component must be a function with def")
    return tree, "\n".join(text.splitlines()[tree.lineno - 1 :]) + "\n"


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
        else:
            yield _made_known(function, name, value)


def _made_known(function: Callable[..., Any], name: str, value: Any) -> str:
    called = str(getattr(value, "__name__", ""))
    if value is not None and getattr(dsl, called, None) is value:
        return f"{name} = {called}"
    if hasattr(value, "_fields"):
        hints = typing.get_type_hints(value)
        fields = ", ".join(f"({key!r}, {_written(hints[key])})" for key in hints)
        return f"{name} = NamedTuple({name!r}, [{fields}])"
    if type_annotations.is_artifact_class(value) or type_annotations.is_model(value):
        # A class of the user's own is in the image, or in what is embedded.
        return f"from {value.__module__} import {called}" + f" as {name}" * (name != called)
    raise CompileError(
        f"{function.__name__}: {name} is not known in the step, where there is the function alone: "
        "use types of Python, typing and wherry.pipelines"
    )


def _written(annotation: Any) -> str:
    """Return a field's type; what a list has in it makes no difference to a step."""
    kind = typing.get_origin(annotation) or annotation
    return str(getattr(kind, "__name__", ""))


def _is_known(function: Callable[..., Any], name: str) -> bool:
    """Tell whether a name is the same in the step, by the prelude."""
    return hasattr(dsl, name) and function.__globals__.get(name) is getattr(dsl, name)
