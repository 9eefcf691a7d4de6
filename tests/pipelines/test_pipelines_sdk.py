"""Pipelines from Python: what is compiled of them, runs in process, what is refused."""

# Functions of pipelines return outputs to come, which are of no type that could be said.
# mypy: disable-error-code="no-any-return, return, return-value, arg-type, type-arg"

from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
import yaml

from wherry.metadata.records import Values
from wherry.pipelines import (
    Artifact,
    Collected,
    CompileError,
    ContainerSpec,
    Dataset,
    Elif,
    Else,
    ExitHandler,
    FailedRunError,
    If,
    Input,
    InputPath,
    Metrics,
    Model,
    OneOf,
    Output,
    OutputPath,
    ParallelFor,
    PipelineTaskFinalStatus,
    commands,
    component,
    container_component,
    importer,
    lint,
    pipeline,
    placeholders,
)
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.graph.model import Attempt, Start, State
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.ir import documents


class Read(NamedTuple):
    joined: str
    total: float


class Trained(NamedTuple):
    model: Model
    metrics: Metrics


class Pair(NamedTuple):
    first: str
    second: list


@component
def say(text: str) -> str:
    return text


@component
def both(texts: list) -> list:
    return texts


@component
def double(n: int) -> int:
    return 2 * n


@component
def add(numbers: list) -> float:
    return float(sum(numbers))


@component
def write(text: str, data: Output[Dataset]):
    with open(data.path, "w") as file:  # noqa: PTH123 - a step has what it imports
        file.write(text)
    data.metadata["length"] = len(text)


@component
def read(data: Input[Dataset]) -> str:
    with open(data.path) as file:  # noqa: PTH123 - a step has what it imports
        return f"{file.read()} of {data.metadata['length']}"


@component
def read_all(data: Input[list[Dataset]], joined: OutputPath(str)):  # type: ignore[valid-type]  # KFP's annotation
    texts = []
    for each in data:
        with open(each.path) as file:  # noqa: PTH123 - a step has what it imports
            texts.append(file.read())
    with open(joined, "w") as file:  # noqa: PTH123 - a step has what it imports
        file.write(" ".join(texts))


@component
def pair(n: int) -> Pair:
    return Pair("x" * n, [{"k": i} for i in range(n)])


@component
def options(
    kind: Literal["a", "b"] = "a",
    extra: str | None = None,
    table: dict = {"k": 1},  # noqa: B006 - never changed
) -> str:
    return f"{kind} {extra} {table}"


@component
def fails(text: str) -> str:
    raise ValueError(f"no {text}")


@component
def told(status: PipelineTaskFinalStatus, path: str):
    with open(path, "a") as file:  # noqa: PTH123 - a step has what it imports
        file.write(f"{status.state} {status.pipeline_task_name}\n")


def test_a_component_is_still_its_function(tmp_path: Path) -> None:
    assert say("hello") == "hello"
    write(text="abc", data=Dataset(uri=str(tmp_path / "d")))
    assert (tmp_path / "d").read_text() == "abc"
    assert repr(say.function).startswith("<function say")


def test_values_files_and_lists_travel() -> None:
    @pipeline
    def flow(text: str, n: int = 2) -> str:
        made = write(text=f"{text} and {double(n=n).output}")
        return read(data=made.outputs["data"]).output

    assert flow(text="one") == "one and 4 of 9"
    assert flow(text="two", n=5) == "two and 10 of 10"


@pytest.mark.parametrize(("coin", "expected"), [("heads", "H"), ("edge", "E"), ("tails", "T")])
def test_branches(coin: str, expected: str) -> None:
    @pipeline
    def flow(coin: str) -> str:
        flipped = say(text=coin)
        with If(flipped.output == "heads"):
            a = say(text="H")
        with Elif((flipped.output == "edge") & (flipped.output != "x")):
            b = say(text="E")
        with Else():
            c = say(text="T")
        return say(text=OneOf(a.output, b.output, c.output)).output

    assert flow(coin=coin) == expected


@pytest.mark.parametrize("text", ["😀 é", "a'b\"c\\d", "one\ntwo\t\x01"])
def test_texts_in_conditions_are_taken_as_they_are(text: str) -> None:
    @pipeline
    def flow(given: str) -> str:
        with If(say(text=given).output == text):
            same = say(text="same")
        with Else():
            other = say(text="other")
        return OneOf(same.output, other.output)

    assert flow(given=text) == "same"


def test_loops_in_loops_over_lists_outputs_and_keys() -> None:
    @pipeline
    def flow() -> float:
        with ParallelFor([1, 2], parallelism=1) as n:
            made = pair(n=n)
            with ParallelFor(made.outputs["second"]) as item:
                with If(item.k == "1"):
                    say(text=item.k)
                doubled = double(n=n)
        return add(numbers=Collected(doubled.output)).output

    # One turn of the inner loop for 1, two for 2.
    assert flow() == 2 + 4 + 4


def test_a_loop_in_a_loop_over_the_same_list_has_its_own_items() -> None:
    @pipeline
    def flow(rows: list) -> list:
        with ParallelFor(rows) as one, ParallelFor(rows) as other:
            said = say(text=f"{one.a} {other['a']} {other.b}")
        return both(texts=Collected(said.output)).output

    assert flow(rows=[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]) == [
        "1 1 x",
        "1 2 y",
        "2 1 x",
        "2 2 y",
    ]


def test_artifacts_are_collected_and_looped_over() -> None:
    @pipeline
    def flow() -> Read:
        with ParallelFor(["a", "b"]) as text:
            made = write(text=text)
        joined = read_all(data=Collected(made.outputs["data"]))
        with ParallelFor(Collected(made.outputs["data"])) as data:
            read(data=data)
        return Read(joined.output, add(numbers=[1, 2]).output)

    found = flow()
    assert (found.joined, found.total) == ("a b", 3.0)


@pytest.mark.parametrize(("runs", "state"), [(say, "COMPLETE"), (fails, "FAILED")])
def test_exit_tasks_are_told(tmp_path: Path, runs: Any, state: str) -> None:
    @pipeline
    def flow(path: str):
        with ExitHandler(told(path=path)):
            runs(text="this")

    path = tmp_path / "told"
    if state == "FAILED":
        with pytest.raises(FailedRunError, match="ValueError: no this") as raised:
            flow(path=str(path))
        assert isinstance(raised.value.__cause__, ValueError)
    else:
        flow(path=str(path))
    assert path.read_text() == f"{state} exit-handler-1\n"


def test_a_pipeline_in_a_pipeline_and_its_own_loop() -> None:
    @pipeline
    def inner(text: str, times: list = ["x"]) -> str:  # noqa: B006 - never changed
        with ParallelFor(times) as one:
            say(text=one)
        return say(text=f"<{text}>").output

    @pipeline
    def outer(text: str = "a") -> str:
        first = inner(text=text)
        return inner(text=first.output).after(first).output

    assert outer() == "<<a>>"
    assert outer.document()["root"]["dag"]["tasks"]["inner-2"]["dependentTasks"] == ["inner"]


def test_no_task_or_group_takes_the_name_of_another() -> None:
    @component
    def double_2(n: int) -> int:
        return 100 * n

    @component
    def condition_1(n: int) -> int:
        return n

    @pipeline
    def flow() -> int:
        condition_1(n=1)
        second = [double(n=n) for n in (1, 2)][-1]
        double_2(n=3)
        with If(second.output == 4):
            double(n=4)
        return second.output

    tasks = flow.document()["root"]["dag"]["tasks"]
    assert set(tasks) == {"condition-1", "condition-2", "double", "double-2", "double-2-2"}
    assert flow() == 4


def test_optional_inputs_are_left_out() -> None:
    @pipeline
    def flow(extra: str | None = None, flag: bool = True) -> str:
        with If(flag == True):  # noqa: E712 - of a value to come
            options(extra=extra)
        return options(extra=extra, table={"t": flag}).output

    assert flow() == "a None {'t': 'true'}"
    assert flow(extra="e") == "a e {'t': 'true'}"


def test_what_is_there_already_is_imported(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("abc")

    @pipeline
    def flow(uri: str) -> Artifact:
        data = importer(uri, Dataset, metadata={"length": 3})
        read(data=data.output)
        return data.output

    found = flow(uri=str(tmp_path / "d"))
    assert (found.uri, found.metadata) == (str(tmp_path / "d"), {"length": 3})


@container_component
def count(data: Input[Dataset], n: int, model: Output[Model]):
    return ContainerSpec("busybox:1.36", ["wc", data.path], [str(n), "-o", model.path])


@pipeline(name="all-of-it", description="Everything.")
def everything(rows: int = 3) -> str:
    """Not shown."""
    made = write(text="t").set_retry(2, "1m").set_env_variable("A", "b")
    made.set_cpu_limit("1").set_memory_request("1Gi")
    made.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2)
    counted = count(data=made.outputs["data"], n=rows)
    last = say(text=f"{rows} rows").after(counted).set_caching_options(False)
    other = say(text="x").set_caching_options(True, "k").ignore_upstream_failure().after(last)
    return other.set_display_name("Other").output


def test_what_is_compiled(tmp_path: Path) -> None:
    everything.compile(tmp_path / "p.yaml")
    document = yaml.safe_load((tmp_path / "p.yaml").read_text())
    read_back = Pipeline(documents.parse((tmp_path / "p.yaml").read_text()).spec)
    assert not lint.findings(read_back)
    assert document["pipelineInfo"] == {"name": "all-of-it", "description": "Everything."}
    tasks = document["root"]["dag"]["tasks"]
    assert tasks["write"]["retryPolicy"] == {
        "maxRetryCount": 2,
        "backoffDuration": "60s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": "3600s",
    }
    executors = document["deploymentSpec"]["executors"]
    container = executors["exec-write"]["container"]
    assert container["env"] == [{"name": "A", "value": "b"}]
    assert container["resources"] == {
        "resourceCpuLimit": "1",
        "resourceMemoryRequest": "1Gi",
        "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "2"},
    }
    assert tasks["say"] == {
        "cachingOptions": {},
        "componentRef": {"name": "comp-say"},
        "dependentTasks": ["count"],
        "inputs": {
            "parameters": {
                "pipelinechannel--rows": {"componentInputParameter": "rows"},
                "text": {
                    "runtimeValue": {
                        "constant": "{{$.inputs.parameters['pipelinechannel--rows']}} rows"
                    }
                },
            }
        },
        "taskInfo": {"name": "say"},
    }
    # The same component is there once.
    assert tasks["say-2"]["componentRef"] == {"name": "comp-say"}
    assert tasks["say-2"]["cachingOptions"] == {"enableCache": True, "cacheKey": "k"}
    assert tasks["say-2"]["taskInfo"] == {"name": "Other"}
    assert tasks["say-2"]["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert "<svg" in everything.picture()
    everything.compile(tmp_path / "p.json")
    assert yaml.safe_load((tmp_path / "p.json").read_text()) == document


def test_settings_for_kubernetes_are_a_second_document(tmp_path: Path) -> None:
    @pipeline
    def flow(secret: str = "s", text: str = "t"):
        named = say(text="claim")
        with ParallelFor(["a"]) as one:
            told = say(text=one).use_secret_as_env(secret, {"k": "V"})
            told.mount_pvc(named.output, "/data").add_node_selector("gpu", "yes").set_timeout(9)
        say(text=text).use_config_map_as_volume("map", "/map", optional=True).add_pod_label(
            "a", "b"
        )
        say(text=text)

    flow.compile(tmp_path / "p.yaml")
    read_back = documents.parse((tmp_path / "p.yaml").read_text())
    found = Pipeline(read_back.spec, read_back.platform)
    assert found.graph.nodes["for-loop-2"].needs == ("say",)
    assert read_back.platform == {
        "platforms": {
            "kubernetes": {
                "deploymentSpec": {
                    "executors": {
                        "exec-say-2": {
                            "secretAsEnv": [
                                {
                                    "secretNameParameter": {
                                        "componentInputParameter": "pipelinechannel--secret"
                                    },
                                    "keyToEnv": [{"secretKey": "k", "envVar": "V"}],
                                }
                            ],
                            "pvcMount": [
                                {
                                    "pvcNameParameter": {
                                        "componentInputParameter": "pipelinechannel--say-Output"
                                    },
                                    "mountPath": "/data",
                                }
                            ],
                            "nodeSelector": {"labels": {"gpu": "yes"}},
                            "activeDeadlineSeconds": 9,
                        },
                        "exec-say-3": {
                            "configMapAsVolume": [
                                {
                                    "configMapNameParameter": {"runtimeValue": {"constant": "map"}},
                                    "mountPath": "/map",
                                    "optional": True,
                                }
                            ],
                            "podMetadata": {"labels": {"a": "b"}},
                        },
                    }
                }
            }
        }
    }
    assert flow.document()["root"]["dag"]["tasks"]["say-4"]["componentRef"] == {"name": "comp-say"}
    with pytest.raises(CompileError, match=r"use \.yaml"):
        flow.compile(tmp_path / "p.json")
    flow()


def test_variables_and_resources_may_be_outputs_and_inputs() -> None:
    @pipeline
    def flow(memory: str, n: int):
        doubled = double(n=n)
        say(text="a").set_memory_limit(memory).set_env_variable("N", f"n={doubled.output}")

    read_back = Pipeline(flow.document())
    walk = Walk(
        read_back.graph, read_back, read_back.root_inputs(Values({"memory": "1Gi", "n": 2}))
    )
    started = [each for each in walk.ready(0) if isinstance(each, Start)]
    walk.record(Attempt(started[0].path, state=State.SUCCEEDED, outputs=Values({"Output": 4})))
    (start,) = [each for each in walk.ready(0) if isinstance(each, Start)]
    container = read_back.step(start.node.component).executor.container
    assert container is not None
    assert container.resources is not None
    told = {"inputs": {"parameterValues": dict(start.inputs.parameters)}}
    context = placeholders.Context(executor_input=told, facts=placeholders.Facts())
    texts = [container.resources.resource_memory_limit, container.env[0].value]
    assert [placeholders.resolve_text(each, context) for each in texts] == ["1Gi", "n=4"]


def test_components_start_as_upstream_s_do_and_are_recognised_here() -> None:
    assert pair.function is not None
    made = component(packages_to_install=["numpy>=1"], pip_index_urls=["https://a.example/simple"])(
        pair.function
    )
    container = made.executor["container"]
    launch = commands.recognise(container["command"], container["args"])
    assert launch is not None
    assert launch.requirements == ("numpy>=1",)
    assert launch.index_options == ("--index-url", "https://a.example/simple")
    assert "Pair = NamedTuple('Pair', [('first', str), ('second', list)])" in launch.source
    namespace: dict[str, Any] = {"NamedTuple": NamedTuple}
    exec(launch.source.partition("from typing import *\n")[2], namespace)
    assert namespace["pair"](2).first == "xx"


def unknown(data: Path) -> None:
    pass


def starred(*values: int) -> None:
    pass


def bare(x) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (unknown, "cannot be passed; want str, int"),
        (starred, "name each one"),
        (bare, "say what it is"),
    ],
)
def test_functions_that_are_no_components(function: Any, words: str) -> None:
    with pytest.raises(CompileError, match=words):
        component(function)


def test_a_path_may_be_all_that_is_wanted(tmp_path: Path) -> None:
    @component
    def by_path(data: InputPath(Dataset), model: OutputPath(Model), metrics: Output[Metrics]):  # type: ignore[valid-type]  # KFP's annotation
        with open(data) as source, open(model, "w") as file:  # noqa: PTH123 - a step has what it imports
            file.write(source.read().upper())
        metrics.log_metric("n", 1)

    @pipeline
    def flow() -> Trained:
        done = by_path(data=write(text="abc").outputs["data"])
        return Trained(**done.outputs)

    found = flow()
    assert Path(found.model.path).read_text() == "ABC"
    assert found.metrics.metadata == {"n": 1}


def _leaves_loop() -> Any:
    with ParallelFor([1]) as n:
        made = double(n=n)
    return say(text=made.output)


def _leaves_condition() -> Any:
    with If(say(text="a").output == "a"):
        made = say(text="b")
    return say(text=made.output)


def _one_of_without_else() -> Any:
    with If(say(text="a").output == "a"):
        one = say(text="b")
    with Elif(say(text="a").output == "b"):
        other = say(text="c")
    return OneOf(one.output, other.output)


def _plain_if() -> Any:
    if say(text="a").output == "a":
        say(text="b")


def _else_first() -> Any:
    with Else():
        say(text="b")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (_leaves_loop, r"double-Output is made once each turn of a loop: use Collected"),
        (_leaves_condition, r"say-2-Output is made only if a condition holds: use OneOf"),
        (_one_of_without_else, "without Else it may be that none of them runs"),
        (_plain_if, r"use `with If\(...\)` instead of `if`"),
        (_else_first, "Else must come right after If or Elif"),
        (lambda: say(txt="a"), "say has no input txt; it has text"),
        (say, "say needs text"),
        (lambda: say("a"), "give inputs by name"),
        (lambda: double(n="a"), "double: n must be a whole number .* not 'a'"),
        (lambda: add(numbers=say), "add: numbers must be a list"),
        (lambda: say(text=object()), "is no value that can be passed"),
        (lambda: If(double(n=1).output == float("inf")), "not inf"),
        (lambda: say(text="a").add_pod_label("a", f"{double(n=1).output}"), "must be known"),
        (lambda: say(text="a").mount_pvc(f"{double(n=1).output}-x", "/d"), "must be known"),
        (lambda: say(text=say(text="a")), "give one of its outputs"),
        (lambda: read(data=say(text="a").output), "is system.Dataset, but say-Output is STRING"),
        (lambda: read(data="x"), "must be an artifact that a task gives, not 'x'"),
        (lambda: pair(n=1).output, "pair has 2 outputs"),
        (lambda: list(say(text="a").output), r"instead of `for`"),
        (lambda: ParallelFor([]), "nothing in the list"),
        (lambda: say(text="a").set_retry(1, "soon"), "is no duration"),
        (lambda: told(path="x"), "final status of one task before it"),
    ],
)  # fmt: skip
def test_pipelines_that_cannot_be(body: Any, words: str) -> None:
    @pipeline
    def flow():
        body()

    with pytest.raises(CompileError, match=words):
        flow.document()


def test_inputs_and_outputs_of_a_pipeline_are_checked() -> None:
    @pipeline
    def flow(n: int) -> int:
        return double(n=n).output

    with pytest.raises(CompileError, match=r"parameters.n: the pipeline needs a value for it"):
        flow()
    with pytest.raises(CompileError, match=r"parameters.n: must be a whole number"):
        flow(n="x")
    with pytest.raises(CompileError, match=r"flow: give inputs by name"):
        flow(3)

    @pipeline
    def nothing() -> int:
        double(n=1)

    with pytest.raises(CompileError, match="says that it returns Output, but returns nothing"):
        nothing()
    with pytest.raises(CompileError, match="only be used in a function with @pipeline"):
        ParallelFor([1])
