"""Pipelines of trivial steps, in the words of KFP's SDK: compiled for us, and run by `kfp.local`.

Run by an interpreter that has kfp:

    python kfp_peer.py compile FOLDER
    python kfp_peer.py run chain|parallel subprocess|venv|docker FOLDER ITEMS
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kfp import compiler, dsl, local

IMAGE = "python:3.11"
LARGE = 5 * 1024**3


def add(a: int, b: int) -> int:
    return a + b


def write(size: int, large: dsl.Output[dsl.Dataset]) -> None:
    with open(large.path, "wb") as file:  # noqa: PTH123 - steps know nothing but what stands in them
        file.truncate(size)
        file.seek(size - 4)
        file.write(b"last")


def read(large: dsl.Input[dsl.Dataset]) -> str:
    with open(large.path, "rb") as file:  # noqa: PTH123 - as above
        file.seek(-4, 2)
        return f"{file.tell() + 4} {file.read().decode()}"


def chain(step: dsl.base_component.BaseComponent) -> Callable[[], int]:
    """Return a pipeline of three steps, each of which waits for the one before."""

    def pipeline() -> int:
        first = step(a=1, b=1)
        second = step(a=first.output, b=1)
        return step(a=second.output, b=1).output

    return pipeline


def parallel(step: dsl.base_component.BaseComponent) -> Callable[..., None]:
    """Return a pipeline of as many steps as it is given items, none of which waits for another."""

    def pipeline(items: list[int]) -> None:
        with dsl.ParallelFor(items) as item:
            step(a=item, b=1)

    return pipeline


def large(size: int) -> Callable[[], str]:
    """Return a pipeline whose second step looks into the large file that its first one has made."""
    writing = dsl.component(write, base_image=IMAGE, install_kfp_package=False)
    reading = dsl.component(read, base_image=IMAGE, install_kfp_package=False)

    def pipeline() -> str:
        return reading(large=writing(size=size).outputs["large"]).output

    return pipeline


def compile_all(folder: Path) -> None:
    """Write all pipelines into a folder, as the compiler makes them."""
    step = dsl.component(add, base_image=IMAGE)
    made = {"chain": chain(step), "parallel": parallel(step), "large": large(LARGE)}
    for name, function in made.items():
        pipeline = dsl.pipeline(function, name=name)
        compiler.Compiler().compile(pipeline, str(folder / f"{name}.json"))


def run(name: str, mode: str, folder: str, items: int) -> None:
    """Run one here, and print how long it took, without the imports of the SDK."""
    runners = {
        "subprocess": lambda: local.SubprocessRunner(use_venv=False),
        "venv": lambda: local.SubprocessRunner(use_venv=True),
        "docker": lambda: local.DockerRunner(network_mode="host"),
    }
    local.init(runner=runners[mode](), pipeline_root=folder)
    # Without an environment of its own there is nothing to install.
    step = dsl.component(add, base_image=IMAGE, install_kfp_package=mode != "subprocess")
    function = {"chain": chain, "parallel": parallel}[name](step)
    inputs = {"items": [*range(items)]} if name == "parallel" else {}
    pipeline = dsl.pipeline(function)
    started = time.monotonic()
    task = pipeline(**inputs)
    seconds = time.monotonic() - started
    right = name != "chain" or task.output == 4
    print(json.dumps({"seconds": seconds, "right": right}))


if __name__ == "__main__":
    if sys.argv[1] == "compile":
        compile_all(Path(sys.argv[2]))
    else:
        run(*sys.argv[2:5], items=int(sys.argv[5]))
