"""What the SDK compiles is what KFP's compiler makes of the same functions.

But for the commands of Python components; for what upstream writes twice, so that its old versions read it too; and
for where it is wrong, which stands at its place below.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from wherry.pipelines.sdk import files
from wherry.testing import environments

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements" / "clients-pipelines.txt"
OURS = """
from typing import *
from wherry.pipelines import *
"""
THEIRS = """
from typing import *
from kfp.dsl import *
"""
PIPELINES = """
@component
def make(rows: int, data: Output[Dataset]) -> int:
    return rows


@component
def total(data: Input[Dataset], scale: float = 1.0) -> float:
    return scale


@component
def say(text: str) -> str:
    return text


@component
def add(numbers: list) -> float:
    return sum(numbers)


@component
def merge(data: Input[List[Dataset]], out: Output[Model]):
    pass


@component
def several(n: int) -> NamedTuple("Several", [("items", list), ("word", str)]):
    pass


@component
def options(a: Optional[str] = None, b: int = 3, c: dict = {"k": 1}):
    pass


@component
def done(status: PipelineTaskFinalStatus, note: str = "n"):
    pass


@pipeline
def inner(text: str, n: int = 3) -> str:
    a = say(text=text)
    b = say(text=f"{a.output} and {text}")
    with ParallelFor(["x", "y"]) as each:
        say(text=each).after(b)
    return b.output


@pipeline
def flow(rows: int = 5, names: list = ["a", "b"], flag: bool = True) -> float:
    with ExitHandler(done(note="bye")):
        made = make(rows=rows)
        made.set_retry(2, backoff_duration="30s")
        with ParallelFor([1.0, 2.0, 3.0], parallelism=2) as scale:
            t = total(data=made.outputs["data"], scale=scale)
            x = make(rows=3).set_caching_options(False)
        add(numbers=Collected(t.output))
        merge(data=Collected(x.outputs["data"]))
        coin = say(text="heads")
        with If(coin.output == "heads"):
            a = say(text=f"heads of {made.outputs['Output']}")
        with Elif(made.outputs["Output"] > 3):
            e = say(text="edge")
        with Else():
            b = say(text="tails")
        say(text=OneOf(a.output, e.output, b.output))
    items = several(n=2).set_env_variable("A", "b")
    with ParallelFor(items.outputs["items"]) as item:
        say(text=item)
        with If(flag == True):
            say(text="flag")
        with ParallelFor(names) as name:
            say(text=name)
    with ParallelFor([{"k": "v"}]) as pair:
        say(text=pair.k)
    i = inner(text="hello")
    o = options()
    o.after(i)
    say(text=i.output).after(items)
    say(text="last").after(o).ignore_upstream_failure()
    im = importer(artifact_uri="gs://b/x", artifact_class=Dataset, reimport=False)
    return total(data=im.output).output
"""
COMPONENTS = """
from pathlib import Path
from typing import *

HERE = Path(HERE)
OLD, OPTIONAL, SAY, INNER = ((HERE / f"{name}.yaml").read_text() for name in ("old", "optional", "say", "inner"))
loaded_old = load_component_from_text(OLD)
loaded_optional = load_component_from_text(OPTIONAL)
loaded = load_component_from_text(SAY)
inner = load_component_from_text(INNER)

def helping(n: int) -> int:
    return n

@dsl.component
def say(text: str) -> str:
    return text


@dsl.component
def give() -> str:
    return "x"


@dsl.component
def documented(text: str, n: int = 3) -> NamedTuple("Out", [("one", int), ("other", str)]):
    '''Does something.

    And more of it.

    Args:
        text: What is said,
            in two lines.
        n (int): How often.

    Returns:
        one: The first.
        other: The second.
    '''


@dsl.component
def listed() -> list:
    return []


@dsl.component(base_image="python:3.12", packages_to_install=["numpy"], install_kfp_package=False)
def chosen(kind: str = "a", n: int = 1) -> float:
    return 1.0


@dsl.component(target_image="registry.example/made:1")
def in_image(data: dsl.Input[dsl.Dataset], model: dsl.Output[dsl.Model]):
    pass


@dsl.component(additional_funcs=[helping], embedded_artifact_path=str(HERE / "brought"))
def embedding(files: dsl.EmbeddedInput[dsl.Dataset], n: int) -> int:
    return helping(n)


@dsl.notebook_component(notebook_path=str(HERE / "note.ipynb"))
def noted(text: str, made: dsl.Output[dsl.Dataset]):
    dsl.run_notebook(text=text, path=made.path)


@dsl.component(
    task_config_passthroughs=[
        dsl.TaskConfigField.RESOURCES,
        dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True),
        dsl.TaskConfigField.KUBERNETES_TOLERATIONS,
    ]
)
def launching(n: int, config: dsl.TaskConfig):
    pass


@dsl.container_component
def counting(
    data: dsl.Input[dsl.Dataset],
    many: dsl.Input[List[dsl.Artifact]],
    n: int,
    model: dsl.Output[dsl.Model],
    total: dsl.OutputPath(int),
    extra: str = "none",
):
    return dsl.ContainerSpec(
        image="busybox:1.36",
        command=["sh", "-c", f"wc {n} > {total}"],
        args=[
            data.path,
            data.uri,
            data.metadata["rows"],
            many,
            n,
            model.uri,
            total,
            dsl.ConcatPlaceholder(["--rows=", n, dsl.IfPresentPlaceholder("extra", then="a", else_="b")]),
            dsl.IfPresentPlaceholder(input_name="extra", then=["--extra", extra], else_=["--none"]),
        ],
    )


@dsl.component
def made(n: int) -> dsl.Dataset:
    pass


@dsl.pipeline(name="component-kinds", display_name="All Kinds", pipeline_root="s3://bucket/root", description="Each.")
def kinds(text: str = "t", count: int = 3):
    documented(text=text)
    chosen(kind="b")
    with dsl.ParallelFor([1, 2], name="rows") as n:
        rows = made(n=n)
    one = made(n=count)
    in_image(data=one.output)
    embedding(n=count)
    noted(text=text)
    launching(n=1).set_cpu_limit("1").set_env_variable("A", "b")
    counting(data=one.output, many=dsl.Collected(rows.output), n=count)
    old = loaded_old(input_prefix=text)
    loaded_optional(required_input="x", optional_input_2="z").after(old)
    loaded(text=text)
    inner(text=text)


def settings_of(image: str, memory: str = "1Gi", secret: str = "s", node: dict = {"a": "b"}):
    first = say(text="a").set_display_name("First").set_cpu_request("500m").set_cpu_limit("2")
    first.set_memory_request("1Gi").set_memory_limit(memory).set_accelerator_type("nvidia.com/gpu")
    first.set_accelerator_limit(2).set_env_variable("A", "b").set_env_variable("B", "c")
    first.set_caching_options(True, "key").set_retry(3, "1m", 1.5, "1h")
    second = say(text="b").set_container_image(image).set_caching_options(False)
    third = say(text="c").set_container_image(f"{image}-slim").set_memory_request(first.output)
    third.after(first)  # upstream forgets that it has to wait
    third.set_debug_pause(before=True, on_error=True)
    with dsl.ExitHandler(say(text="exit"), name="Cleaning") as handler:
        say(text="d")
    with dsl.If(second.output == "x", name="Maybe"):
        say(text="e")
    with dsl.Condition(second.output != "x"):
        say(text="f")
    say(text="g").after(handler)
    data = dsl.importer(
        artifact_uri=second.output,
        artifact_class=dsl.Dataset,
        reimport=True,
        metadata={"name": second.output, "list": [memory, f"{second.output} {memory}"], "n": 1},
        download_to_workspace=True,
    )
    dsl.importer(artifact_uri="s3://b/x", artifact_class=dsl.Model)
    say(text=dsl.WORKSPACE_PATH_PLACEHOLDER)
    say(text=f"{dsl.PIPELINE_JOB_NAME_PLACEHOLDER}-{memory}")


settings = dsl.pipeline(
    name="configured",
    pipeline_config=dsl.PipelineConfig(
        workspace=dsl.WorkspaceConfig(
            size="10Gi",
            kubernetes=dsl.KubernetesWorkspaceConfig(pvcSpecPatch={"accessModes": ["ReadWriteMany"]}),
        ),
        ttl_seconds_after_finished=60,
        ttl_seconds_after_success=30,
        ttl_seconds_after_failure=90,
        active_deadline_seconds=600,
    ),
)(settings_of)


@dsl.pipeline
def platform(secret: str = "s", claim: str = "c", node: dict = {"a": "b"}, taints: list = []):
    '''Sets all there is.

    For one task.

    Args:
        secret: A name.
    '''
    named = give()
    new = kubernetes.CreatePVC(
        access_modes=["ReadWriteOnce"], size="1Gi", pvc_name_suffix="-x", storage_class_name="fast"
    )
    task = say(text="a")
    kubernetes.use_secret_as_env(task, "one", {"k": "V", "l": "W"})
    kubernetes.use_secret_as_env(task, secret_name=secret, secret_key_to_env={"k": "V2"}, optional=True)
    kubernetes.use_secret_as_volume(task, named.output, mount_path="/s")
    kubernetes.use_config_map_as_env(task, "map", {"k": "M"})
    kubernetes.use_config_map_as_volume(task, secret, "/m", optional=True)
    kubernetes.mount_pvc(task, pvc_name=new.outputs["name"], mount_path="/d", sub_path="x")
    kubernetes.mount_pvc(task, pvc_name=claim, mount_path="/e")
    kubernetes.mount_pvc(task, pvc_name="fixed", mount_path="/f")
    kubernetes.set_image_pull_secrets(task, ["a", secret])
    kubernetes.set_image_pull_policy(task, "Always")
    kubernetes.set_timeout(task, 20)
    kubernetes.use_field_path_as_env(task, "POD", "metadata.name")
    kubernetes.empty_dir_mount(task, "scratch", "/scratch", medium="Memory", size_limit="1Gi")
    kubernetes.add_ephemeral_volume(task, "own", "/own", ["ReadWriteOnce"], "1Gi", labels={"a": "b"})
    kubernetes.add_ephemeral_volume(
        task, "own2", "/own2", ["ReadWriteOnce"], "1Gi", storage_class_name="fast", annotations={"c": "d"}
    )
    kubernetes.add_node_selector(task, "gpu", "yes")
    kubernetes.add_toleration(task, key="k", operator="Equal", value="v", effect="NoExecute", toleration_seconds=30)
    kubernetes.add_toleration_json(task, taints)
    kubernetes.add_toleration_json(task, [{"key": "z", "operator": "Exists"}])
    kubernetes.add_node_affinity(task, match_expressions=[{"key": "a", "operator": "In", "values": ["b"]}])
    kubernetes.add_node_affinity(task, match_fields=[{"key": "a", "operator": "Exists"}], weight=5)
    kubernetes.add_node_affinity_json(task, node)
    kubernetes.add_pod_label(task, "l", "m")
    kubernetes.add_pod_annotation(task, "n", "o")
    kubernetes.set_security_context(task, run_as_user=1000, run_as_group=0, run_as_non_root=True)
    other = say(text="b")
    kubernetes.add_node_selector_json(other, node)
    kubernetes.DeletePVC(pvc_name=new.outputs["name"]).after(task)
"""
OLD = """\
name: Component with concat placeholder
inputs:
- {name: Input Prefix, type: String}
- {name: rows, type: Integer, default: '3'}
- {name: table, type: JsonObject, default: '{"a": 1}'}
- {name: deep, type: Bool, default: 'true'}
- {name: ratio, type: Float, optional: true}
- {name: model, type: Model, optional: true}
outputs:
- {name: data, type: Dataset}
- {name: anything}
- {name: total, type: Integer}
implementation:
  container:
    image: registry.example/image
    command: [sh, -c, echo]
    args:
    - --arg0
    - concat: [{inputValue: Input Prefix}, 'some value']
    - {outputPath: data}
    - {outputUri: anything}
    - {outputPath: total}
    - executorInput: null
    env: {A: b}
"""
OPTIONAL = """\
name: Optional things
inputs:
- {name: required_input, type: String, optional: false}
- {name: optional_input_1, type: String, optional: true}
- {name: optional_input_2, type: String, optional: true}
implementation:
  container:
    image: registry.example/image
    args:
    - {inputValue: required_input}
    - if:
        cond: {isPresent: optional_input_1}
        then: [--one, {inputValue: optional_input_1}]
    - if:
        cond: {isPresent: optional_input_2}
        then: [--two, {inputValue: optional_input_2}]
        else: [--two, nothing]
"""

OUR_NAMES = """
import wherry.pipelines as dsl
from wherry.pipelines import load_component_from_text


class _Kubernetes:
    CreatePVC, DeletePVC = dsl.CreatePVC, dsl.DeletePVC

    def __getattr__(self, name):
        return lambda task, *words, **named: getattr(task, name)(*words, **named)


kubernetes = _Kubernetes()
"""
THEIR_NAMES = """
from kfp import dsl, kubernetes
from kfp.components import load_component_from_text
"""

COMPILING = """
import sys
import warnings

sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
import importlib
from kfp import compiler

module = importlib.import_module(sys.argv[2])
for name in sys.argv[3:]:
    compiler.Compiler().compile(getattr(module, name), f"{sys.argv[1]}/{name}.theirs.yaml")
"""
READING = """
import json
import sys

import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

spec, *rest = yaml.safe_load_all(sys.stdin)
json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
kubernetes = rest[0]["platforms"]["kubernetes"] if rest else {}
executors = {
    label: json_format.MessageToDict(
        json_format.ParseDict(each, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    )
    for label, each in kubernetes.get("deploymentSpec", {}).get("executors", {}).items()
}
json.dump([spec, executors, kubernetes.get("pipelineConfig")], sys.stdout)
"""
WRITTEN_TWICE = {
    *("secretName", "configMapName"),
    *("cpuLimit", "cpuRequest", "memoryLimit", "memoryRequest", "type", "count"),
}
PVC_NAMES = {"constant", "taskOutputParameter", "componentInputParameter"}


@pytest.fixture(scope="module")
def python() -> Path:
    return environments.environment(PINS, ROOT / "build" / "clients") / "bin" / "python"


def _once(value: Any) -> Any:
    """Return a part of an executor without what upstream writes a second time, in old words."""
    if isinstance(value, list):
        return [_once(each) for each in value]
    if not isinstance(value, dict):
        return value
    twice = WRITTEN_TWICE | (PVC_NAMES if "pvcNameParameter" in value else set())
    kept = {key: _once(each) for key, each in value.items() if key not in twice}
    return {key: each for key, each in kept.items() if (key, each) != ("optional", False)}


def _definitions(given: Any, *, described: bool) -> Any:
    """Return inputs or outputs, without descriptions if there are to be none."""
    if isinstance(given, dict):
        return {
            key: _definitions(each, described=described)
            for key, each in given.items()
            if described or key != "description"
        }
    return given


def _whole(document: Any, settings: Any) -> Any:
    """Return a pipeline as one tree: which component stands where, under whatever name."""
    components = {**document["components"], "root": document["root"]}

    def unfolded(component: Any) -> Any:
        # Ours do not repeat Kubernetes' documentation.
        is_claim = component.get("executorLabel", "") in {"exec-createpvc", "exec-deletepvc"}
        found = {
            key: _definitions(component.get(f"{key}Definitions"), described=not is_claim)
            for key in ("input", "output")
        }
        if "dag" not in component:
            label = component["executorLabel"]
            executor = _once(document["deploymentSpec"]["executors"][label])
            if "--function_to_execute" in executor.get("container", {}).get("args", ()):
                executor["container"].pop("command", None)
            passed = component.get("taskConfigPassthroughs")
            return {
                **found,
                "executor": executor,
                "settings": _once(settings.get(label)),
                "passed": passed,
            }
        tasks = json.loads(json.dumps(component["dag"]["tasks"]))
        for task in tasks.values():
            task["component"] = unfolded(components[task.pop("componentRef")["name"]])
            # Upstream makes inputs of settings that are outputs, which no component takes.
            known = (task["component"]["input"] or {}).get("parameters", {})
            given = task.get("inputs", {}).get("parameters", {})
            for name in [each for each in given if each not in known and "--" not in each]:
                del given[name]
        return {**found, "tasks": tasks, "outputs": component["dag"].get("outputs")}

    root = document.get("defaultPipelineRoot")
    return {"info": document["pipelineInfo"], "root": unfolded(document["root"]), "in": root}


def _run(python: Path, program: str, *words: str, given: str = "") -> str:
    done = subprocess.run(
        [str(python), "-c", program, *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _same(python: Path, ours: str, theirs: str) -> None:
    # Upstream reads both, strictly.
    (one, settings, config), (other, their_settings, their_config) = (
        json.loads(_run(python, READING, given=each)) for each in (ours, theirs)
    )
    assert _whole(one, settings) == _whole(other, their_settings)
    assert config == their_config


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_same_pipeline_as_upstream(python: Path, tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text(OURS + PIPELINES)
    (tmp_path / "theirs.py").write_text(THEIRS + PIPELINES)
    _run(python, COMPILING, str(tmp_path), "theirs", "flow")
    ours = files.load(tmp_path / "ours.py", "flow").text()
    _same(python, ours, (tmp_path / "flow.theirs.yaml").read_text())


@pytest.fixture
def programs(python: Path, tmp_path: Path) -> Path:
    """Return a folder with the same components and pipelines for both SDKs, and what they load."""
    (tmp_path / "brought").mkdir()
    (tmp_path / "brought" / "note.txt").write_text("brought along")
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "note.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "old.yaml").write_text(OLD)
    (tmp_path / "optional.yaml").write_text(OPTIONAL)
    (tmp_path / "first.py").write_text(THEIRS + PIPELINES)
    _run(python, COMPILING, str(tmp_path), "first", "say", "inner")
    for name in ("say", "inner"):
        (tmp_path / f"{name}.theirs.yaml").rename(tmp_path / f"{name}.yaml")
    here = f"HERE = {str(tmp_path)!r}"
    (tmp_path / "ours.py").write_text(OUR_NAMES + here + COMPONENTS)
    (tmp_path / "theirs.py").write_text(THEIR_NAMES + here + COMPONENTS)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_kind_of_component_and_setting_as_upstream(python: Path, programs: Path) -> None:
    names = ("kinds", "settings", "platform")
    _run(python, COMPILING, str(programs), "theirs", *names)
    for name in names:
        ours = files.load(programs / "ours.py", name).text()
        _same(python, ours, (programs / f"{name}.theirs.yaml").read_text())
