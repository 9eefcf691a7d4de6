"""Runs a component: ``python3 -m kfp.dsl.executor_main --executor_input JSON --function_to_execute NAME``."""

import argparse
import importlib.util
import json
import logging
import sys
from pathlib import Path
from typing import Any

from . import executor  # noqa: TID252 - there the package is called kfp


def executor_main(words: "Any" = None) -> None:
    """Run a component and write what came out.

    Args:
        words: Arguments; by default those of the command line.

    Raises:
        SystemExit: arguments are missing.
        RuntimeError: there is no such component.
    """
    # Components log with this too: what they say shall be seen.
    form = "[KFP Executor %(asctime)s %(levelname)s]: %(message)s"
    logging.basicConfig(stream=sys.stdout, format=form, level=logging.INFO)
    given = _arguments(words)
    path = _module(given.component_module_path, given.function_to_execute)
    logging.info("component %s of %s", given.function_to_execute, path)
    function = getattr(_loaded(path), given.function_to_execute)
    told = json.loads(given.executor_input)
    logging.info("executor_input: %s", json.dumps(told))
    written = executor.Executor(told, function).execute()
    logging.info("wrote %s", written) if written else logging.info("wrote no output")


def _arguments(words: "Any") -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs a component of a pipeline.")
    parser.add_argument("--component_module_path", help="module with the component")
    parser.add_argument("--function_to_execute", required=True, help="the component's function")
    parser.add_argument(
        "--executor_input", required=True, help="inputs and places of outputs, JSON"
    )
    known, _ = parser.parse_known_args(words)
    return known


def _module(path: "str | None", function: str) -> Path:
    if path is not None:
        return Path(path)
    from . import kfp_config  # noqa: PLC0415,TID252 - only images with components need it

    known = kfp_config.components(Path())
    if function not in known:
        names = ", ".join(sorted(known)) or "none"
        raise RuntimeError(
            f"{function!r} is not among the components of {kfp_config.NAME} in {Path.cwd()}: {names}"
        )
    return known[function]


def _loaded(path: Path) -> Any:
    name = path.name[: -len(".py")]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} is not a module of Python")
    module = importlib.util.module_from_spec(spec)
    # What it defines is pickled by its name, and what lies beside it can be imported.
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    executor_main()
