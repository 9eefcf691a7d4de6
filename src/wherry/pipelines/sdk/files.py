"""Pipelines in files of Python."""

import contextlib
import importlib.util
import sys
from pathlib import Path

from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.pipelines import PipelineFunction


def load(path: Path, name: str = "") -> PipelineFunction:
    """Run a file of Python, and return the pipeline in it.

    Args:
        path: Of the file; it is run as a module, not as ``__main__``.
        name: Of the function, or of the pipeline; empty: there is only one.

    Raises:
        CompileError: It cannot be run, or there is no such pipeline in it.
    """
    # A name that no module has, whatever the file is called.
    own = f"file of pipelines: {path.stem}"
    spec = importlib.util.spec_from_file_location(own, path)
    if spec is None or spec.loader is None:
        raise CompileError(f"{path}: this is no file of Python")
    module = importlib.util.module_from_spec(spec)
    # Beside it are the modules that it imports; by its name classes find the types of their fields.
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    sys.modules[own] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise CompileError(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        with contextlib.suppress(ValueError):  # where the file took it away itself
            sys.path.remove(folder)
    found = {
        each: value for each, value in vars(module).items() if isinstance(value, PipelineFunction)
    }
    named = [value for each, value in found.items() if name in {"", each, value.name}]
    if len(set(map(id, named))) == 1:
        return named[0]
    known = ", ".join(sorted(found)) or "none"
    asked = f"no pipeline {name}" if name else "not one pipeline alone"
    raise CompileError(f"{path}: there is {asked} in it; there is {known}")
