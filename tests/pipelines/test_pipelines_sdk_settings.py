"""What is set of tasks and of whole pipelines, and how pipelines are debugged in process."""

# Functions of pipelines return outputs to come, which are of no type that could be said.
# mypy: disable-error-code="no-any-return, return, return-value, arg-type, type-arg"

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.pipelines import (
    WORKSPACE_PATH_PLACEHOLDER,
    CompileError,
    CreatePVC,
    Dataset,
    DeletePVC,
    ExitHandler,
    FailedRunError,
    Output,
    ParallelFor,
    PipelineConfig,
    TaskConfig,
    TaskConfigField,
    TaskConfigPassthrough,
    WorkspaceConfig,
    component,
    importer,
    pipeline,
)


@component
def greet(name: str, times: int = 2) -> str:
    return f"hello {name} " * times


@component
def twice(n: int) -> int:
    return 2 * n


# What holds for a whole pipeline.


def test_a_workspace_and_times_hold_for_a_run(tmp_path: Path) -> None:
    def body():
        greet(name=WORKSPACE_PATH_PLACEHOLDER)

    config = PipelineConfig(
        workspace=WorkspaceConfig("1Gi"), ttl_seconds_after_finished=60, active_deadline_seconds=0
    )
    made = pipeline(
        name="flow", display_name="The Flow", pipeline_root="s3://b", pipeline_config=config
    )(body)
    made.compile(tmp_path / "flow.yaml")
    spec, platform = yaml.safe_load_all((tmp_path / "flow.yaml").read_text())
    assert spec["pipelineInfo"]["displayName"] == "The Flow"
    assert spec["defaultPipelineRoot"] == "s3://b"
    assert platform["platforms"]["kubernetes"]["pipelineConfig"] == {
        "resourceTtlOnCompletion": 60,
        "workspace": {"size": "1Gi", "kubernetes": {"pvcSpecPatch": {}}},
    }
    with pytest.raises(CompileError, match="flow uses the workspace: give @pipeline"):
        pipeline(name="flow")(body).text()
    with pytest.raises(CompileError, match="must be such as 10Gi, not 'much'"):
        WorkspaceConfig("much")
    with pytest.raises(CompileError, match="active_deadline_seconds must be a whole number from 0"):
        PipelineConfig(active_deadline_seconds=-1)


# Settings of tasks.


@component(
    task_config_passthroughs=[
        TaskConfigField.RESOURCES,
        TaskConfigPassthrough(TaskConfigField.ENV, apply_to_task=True),
    ]
)
def launches(config: TaskConfig, n: int):
    pass


def _document(body: Callable[[], Any]) -> Any:
    @pipeline
    def flow():
        body()

    return flow.documents()


def test_code_is_handed_settings_of_its_pod() -> None:
    read = _document(lambda: launches(n=1).set_cpu_limit("1").set_env_variable("A", "b"))
    assert read.spec["components"]["comp-launches"]["taskConfigPassthroughs"] == [
        {"field": "RESOURCES"},
        {"field": "ENV", "applyToTask": True},
    ]
    with pytest.raises(CompileError, match="KUBERNETES_NODE_SELECTOR is not among the task_config"):
        _document(lambda: launches(n=1).add_node_selector("a", "b"))


def test_containers_before_and_beside_a_task() -> None:
    def body() -> None:
        task = greet(name="a").add_init_container(
            "first",
            "busybox",
            args=["-c", "true"],
            env={"A": "b"},
            volume_mounts={"scratch": "/x"},
            resource_limits={"memory": "1Gi"},
        )
        task.add_init_container("beside", "busybox", restart_policy="Always")

    platform: Any = _document(body).platform
    ((_, settings),) = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].items()
    assert settings["initContainers"] == [
        {
            "name": "first",
            "image": "busybox",
            "args": ["-c", "true"],
            "env": [{"name": "A", "value": "b"}],
            "volumeMounts": [{"volumeName": "scratch", "mountPath": "/x"}],
            "resources": {"limits": {"memory": "1Gi"}},
        },
        {"name": "beside", "image": "busybox", "restartPolicy": "Always"},
    ]


def test_tasks_wait_for_what_their_settings_name() -> None:
    def body() -> None:
        claim = CreatePVC(access_modes=["ReadWriteOnce"], size="1Gi")
        task = greet(name="a").mount_pvc(claim.outputs["name"], "/data")
        DeletePVC(pvc_name=claim.output).after(task)

    tasks = _document(body).spec["root"]["dag"]["tasks"]
    assert tasks["greet"]["dependentTasks"] == ["createpvc"]
    assert tasks["deletepvc"]["dependentTasks"] == ["createpvc", "greet"]


def test_groups_have_names_and_are_waited_for() -> None:
    def body() -> None:
        with ExitHandler(greet(name="bye"), name="Cleaning") as handler:
            greet(name="a")
        greet(name="b").after(handler)

    tasks = _document(body).spec["root"]["dag"]["tasks"]
    assert tasks["exit-handler-1"]["taskInfo"]["name"] == "Cleaning"
    assert tasks["greet-3"]["dependentTasks"] == ["exit-handler-1"]


def test_a_group_waits_for_what_is_around_and_tasks_in_it_wait_for() -> None:
    def body() -> None:
        first = greet(name="a")
        with ParallelFor(["x"]) as outer:
            second = greet(name=outer)
            with ParallelFor(["y"]) as inner:
                greet(name=inner).after(first, second)

    spec = _document(body).spec
    assert spec["root"]["dag"]["tasks"]["for-loop-2"]["dependentTasks"] == ["greet"]
    inside = spec["components"]["comp-for-loop-2"]["dag"]["tasks"]
    assert inside["for-loop-4"]["dependentTasks"] == ["greet-2"]

    def itself() -> None:
        with ExitHandler(greet(name="bye")) as handler:
            greet(name="a").after(handler)

    with pytest.raises(CompileError, match="cannot be waited for by what is in it"):
        _document(itself)


def test_metadata_of_what_is_imported_may_be_outputs() -> None:
    def body() -> None:
        said = greet(name="a")
        known = {"by": said.output, "words": [f"{said.output}!", 1]}
        importer("s3://b/x", Dataset, metadata=known, download_to_workspace=False)

    spec = _document(body).spec
    made = spec["deploymentSpec"]["executors"]["exec-importer"]["importer"]
    place = "{{$.inputs.parameters['metadata']}}"
    assert made["metadata"] == {"by": place, "words": [f"{place}!", 1]}
    assert "metadata" in spec["root"]["dag"]["tasks"]["importer"]["inputs"]["parameters"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda task: task.set_cpu_limit("much"), "'much' is not cores such as"),
        (lambda task: task.set_memory_limit("1 GB"), "'1 GB' is not an amount such as"),
        (lambda task: task.set_accelerator_limit(-1), "'-1' is not a number of devices"),
        (lambda task: task.set_debug_pause(after=False), "want before or after"),
        (lambda task: task.set_image_pull_policy("Often"), "must be one of Always, IfNotPresent, Never"),
        (lambda task: task.set_timeout(-1), "must be 0 seconds or more"),
        (lambda task: task.set_security_context(), "must have numbers from 0 on"),
        (lambda task: task.add_node_affinity([{"key": "a", "operator": "Is"}]), "an operator of In, NotIn"),
        (lambda task: task.add_node_affinity(weight=101), "weight must be from 1 to 100"),
        (lambda task: task.add_init_container("kfp-launcher", "a"), "want a name other than kfp-launcher"),
        (lambda task: task.add_init_container("a", "b", words=["c"]), "add_init_container: words: no such setting"),
        (
            lambda task: task.add_ephemeral_volume("a", "/a", ["ReadWriteOnce"], "1Gi", label={"a": "b"}),
            "add_ephemeral_volume: label: no such setting",
        ),
        (lambda task: task.set_retry(1, "1 month"), "is no duration"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(change: Any, words: str) -> None:
    with pytest.raises(CompileError, match=words):
        _document(lambda: change(greet(name="a")))


def test_settings_that_are_not_known() -> None:
    with pytest.raises(
        CompileError, match="component: images: no such setting; there is base_image"
    ):
        component(images="x")  # type: ignore[call-overload]  # what is tested
    with pytest.raises(CompileError, match="pipeline: title: no such setting"):
        pipeline(title="x")  # type: ignore[call-overload]  # likewise


# In this process.


@component
def breaks(n: int) -> int:
    return 1 // n


@component
def writes(text: str, data: Output[Dataset]):
    with open(data.path, "w") as file:  # noqa: PTH123 - a step has what it imports
        file.write(text)
    data.metadata["length"] = len(text)


def test_a_failure_has_its_own_traceback() -> None:
    @pipeline
    def flow() -> int:
        return breaks(n=twice(n=0).output).output

    with pytest.raises(FailedRunError, match="breaks: ZeroDivisionError") as raised:
        flow()
    cause = raised.value.__cause__
    assert cause is not None
    last = traceback.extract_tb(cause.__traceback__)[-1]
    assert (Path(last.filename), last.name, last.line) == (
        Path(__file__),
        "breaks",
        "return 1 // n",
    )


def test_breakpoints_in_components_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def stopped() -> None:
        frame = sys._getframe(1)
        seen.append((frame.f_code.co_filename, frame.f_code.co_name, dict(frame.f_locals)))

    @component
    def debugged(n: int) -> int:
        breakpoint()
        return n + 1

    @pipeline
    def flow() -> int:
        return debugged(n=1).output

    monkeypatch.setattr(sys, "breakpointhook", stopped)
    assert flow() == 2
    assert seen == [(__file__, "debugged", {"n": 1})]


def test_a_workspace_is_there_in_process_too() -> None:
    @component
    def leave(folder: str) -> str:
        with open(f"{folder}/left", "w") as file:  # noqa: PTH123 - a step has what it imports
            file.write("left")
        return folder

    @component
    def find(folder: str) -> str:
        with open(f"{folder}/left") as file:  # noqa: PTH123 - a step has what it imports
            return file.read()

    @pipeline(pipeline_config=PipelineConfig(workspace=WorkspaceConfig("1Gi")))
    def flow() -> str:
        return find(folder=leave(folder=WORKSPACE_PATH_PLACEHOLDER).output).output

    assert flow() == "left"


def test_artifacts_can_be_read_when_it_is_over() -> None:
    @pipeline
    def flow() -> Dataset:
        return writes(text="kept").outputs["data"]

    found = flow()
    assert isinstance(found, Dataset)
    assert Path(found.path).read_text() == "kept"
    assert found.metadata == {"length": 4}
