"""Steps of loaded components, run in process: their source is known, and a child of this Python runs it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from wherry.pipelines import commands, placeholders
from wherry.pipelines.ir.executors import Container
from wherry.pipelines.placeholders import Context
from wherry.pipelines.runtime import FOLDER
from wherry.pipelines.sdk.errors import CompileError


class StepError(Exception):
    """A step has failed; what it wrote to stderr says why."""


def run(name: str, container: Container | None, context: Context) -> None:
    """Run a step of Python as a pod would; what it imports is to be had by this Python.

    Args:
        name: Of the task.
        container: What it runs.
        context: What placeholders stand for.

    Raises:
        CompileError: It is something else than a Python function with its source.
        StepError: It has failed.
    """
    launch = commands.recognise(container.command, container.args) if container else None
    if container is None or launch is None or not launch.source:
        raise CompileError(f"{name} is no Python function: run it on a cluster")
    words = [
        part
        for text in launch.command(sys.executable)
        for part in ([text] if text == launch.source else placeholders.resolve([text], context))
    ]
    own = {each.name: placeholders.resolve_text(each.value, context) for each in container.env}
    done = subprocess.run(words, check=False, env=_environment(own))  # noqa: S603 - as its pod would
    if done.returncode:
        raise StepError(f"exit code {done.returncode}")


def _environment(own: Mapping[str, Any]) -> dict[str, str]:
    path = [str(FOLDER), *filter(None, [own.get("PYTHONPATH"), os.environ.get("PYTHONPATH")])]
    return {**os.environ, **own, "PYTHONPATH": os.pathsep.join(path)}
