"""Pipelines as users of version 1 of `kfp` wrote them, compiled by its last release into the folder that is named."""

import sys
from pathlib import Path

import kfp
from kfp import dsl
from kfp.components import InputPath, OutputPath, create_component_from_func

BASE = "python:3.11"


def add(left: float, right: float) -> float:
    """Add two numbers."""
    return left + right


def flip(seed: int) -> str:
    """Return heads of even numbers."""
    return "heads" if seed % 2 == 0 else "tails"


def listed(count: int) -> list:
    """Return numbers."""
    return list(range(count))


def write(text: str, written: OutputPath(str)):
    """Write a file."""
    with open(written, "w") as file:  # noqa: PTH123 - as users write it
        file.write(text * 3)


def read(written: InputPath(str)) -> str:
    """Read a file."""
    with open(written) as file:  # noqa: PTH123 - as users write it
        return file.read()


def measure(
    mlpipeline_metrics_path: OutputPath("Metrics"),
    mlpipeline_ui_metadata_path: OutputPath("UI_metadata"),
):
    """Tell metrics and what a page shows, by the names that version 1 knows."""
    import json  # noqa: PLC0415 - only its source travels

    told = {"metrics": [{"name": "accuracy", "numberValue": 0.93, "format": "PERCENTAGE"}]}
    with open(mlpipeline_metrics_path, "w") as file:  # noqa: PTH123 - as users write it
        json.dump(told, file)
    shown = {"outputs": [{"type": "markdown", "storage": "inline", "source": "# Well"}]}
    with open(mlpipeline_ui_metadata_path, "w") as file:  # noqa: PTH123 - as users write it
        json.dump(shown, file)


add_op, flip_op, list_op, write_op, read_op = (
    create_component_from_func(each, base_image=BASE) for each in (add, flip, listed, write, read)
)


def said(text):
    """Return a step that says something."""
    return dsl.ContainerOp(
        name="say", image="busybox", command=["sh", "-c"], arguments=[f"echo {text}"]
    )


@dsl.pipeline(name="sums", description="Outputs go from step to step.")
def sums(first: float = 1, second: float = 2):
    total = add_op(first, second)
    add_op(total.output, 10).set_retry(2).set_display_name("More")


@dsl.pipeline(name="files")
def files(text: str = "ab"):
    read_op(write_op(text).output)


@dsl.pipeline(name="conditions")
def conditions(seed: int = 2):
    coin = flip_op(seed)
    with dsl.Condition(coin.output == "heads"):
        said("heads").set_display_name("heads")
    with dsl.Condition(coin.output == "tails"):
        said("tails").set_display_name("tails")


@dsl.pipeline(name="loops")
def loops(count: int = 3):
    with dsl.ParallelFor(["a", "b"]) as letter:
        said(letter)
    with dsl.ParallelFor(list_op(count).output) as number:
        add_op(number, 1)


@dsl.pipeline(name="ends")
def ends():
    last = dsl.ContainerOp(
        name="last", image="busybox", command=["sh", "-c"], arguments=["echo {{workflow.status}}"]
    )
    with dsl.ExitHandler(last):
        dsl.ContainerOp(name="breaks", image="busybox", command=["sh", "-c"], arguments=["exit 3"])


@dsl.graph_component
def down(number):
    """Count down to nothing."""
    with dsl.Condition(number > 0):
        left = add_op(number, -1)
        left.execution_options.caching_strategy.max_cache_staleness = "P0D"
        down(left.output)


@dsl.pipeline(name="recursion")
def recursion(number: float = 2):
    first = add_op(number, 0)
    down(first.output)


@dsl.pipeline(name="volumes")
def volumes():
    volume = dsl.VolumeOp(name="room", resource_name="room", size="10Mi", modes=dsl.VOLUME_MODE_RWO)
    first = dsl.ContainerOp(
        name="first",
        image="busybox",
        command=["sh", "-c"],
        arguments=["echo kept > /room/file"],
        pvolumes={"/room": volume.volume},
    )
    dsl.ContainerOp(
        name="second",
        image="busybox",
        command=["sh", "-c"],
        arguments=["grep kept /room/file"],
        pvolumes={"/room": first.pvolume},
    )


@dsl.pipeline(name="resources")
def resources():
    made = dsl.ResourceOp(
        name="make",
        k8s_resource={
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"generateName": "made-"},
            "data": {"colour": "green"},
        },
        action="create",
        attribute_outputs={"colour": "{.data.colour}"},
    )
    said(made.outputs["colour"])


@dsl.pipeline(name="shown")
def shown():
    create_component_from_func(measure, base_image=BASE)()


def main():
    folder = Path(sys.argv[1])
    for pipeline in (sums, files, conditions, loops, ends, recursion, volumes, resources, shown):
        name = pipeline._component_human_name
        kfp.compiler.Compiler().compile(pipeline, str(folder / f"{name}.yaml"))
    print("null")  # noqa: T201 - read by the test


main()
