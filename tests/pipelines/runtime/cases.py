"""Components in every form, each with what it is given; for `executing`."""

HEADER = "import kfp\nfrom kfp import dsl\nfrom kfp.dsl import *\nfrom typing import *\n\n"


def artifact(name, title="system.Dataset", uri=None, metadata=None):
    return {
        "name": name,
        "type": {"schemaTitle": title, "schemaVersion": "0.0.1"},
        "uri": uri or f"$HOME/{name}",
        "metadata": metadata or {},
    }


def _listed(artifacts):
    return {
        name: {"artifacts": each if isinstance(each, list) else [each]}
        for name, each in artifacts.items()
    }


def case(name, source, *, parameters=None, reads=None, makes=None, files=None, **more):
    """Return a case.

    Args:
        name: Of it.
        source: Of a function ``f``, after the SDK's own header.
        parameters: Input parameters.
        reads: Input artifacts by name.
        makes: Output artifacts by name.
        files: Names of output parameters that are files.
        **more: Further parts of the case.
    """
    outputs = {"outputFile": "$HOME/out/output.json", "artifacts": _listed(makes or {})}
    outputs["parameters"] = {each: {"outputFile": f"$HOME/p/{each}"} for each in files or ()}
    inputs = {"artifacts": _listed(reads or {})}
    if parameters is not None:
        inputs["parameterValues"] = parameters
    told = {"inputs": inputs, "outputs": outputs}
    return {"name": name, "source": HEADER + source, "input": told, **more}


_RETURNS = {
    "int": ("int", "3"),
    "int_bool": ("int", "True"),
    "float": ("float", "3"),
    "float_nan": ("float", "float('nan')"),
    "str": ("str", "'ü'"),
    "bool": ("bool", "False"),
    "list": ("list", "[1, 2.0, {'a': None}]"),
    "typed_list": ("List[int]", "[1]"),
    "dict": ("dict", "{'a': [1]}"),
    "typed_dict": ("Dict[str, float]", "{'a': 1.5}"),
    "pep_list": ("list[str]", "['a']"),
    "none": ("str", "None"),
    "no_type": ("None", "None"),
    "wrong_int": ("int", "'3'"),
    "wrong_str": ("str", "3"),
    "wrong_list": ("List[int]", "(1, 2)"),
    "unknown": ("set", "set()"),
}
_GIVEN = {
    "a": "int",
    "b": "float",
    "c": "str",
    "d": "bool",
    "e": "list",
    "g": "Dict[str, int]",
    "h": "Optional[str]",
    "i": "Optional[int]",
}
_VALUES = {"a": 1, "b": 2.5, "c": "x\ny", "d": True, "e": [1, "2"], "g": {"k": 1}, "h": "h"}

CASES = [
    *(
        case(f"returns_{name}", f"def f() -> {said}:\n    return {value}\n")
        for name, (said, value) in _RETURNS.items()
    ),
    case("returns_undeclared", "def f():\n    return 1\n"),
    case(
        "parameters",
        f"def f({', '.join(f'{name}: {kind}' for name, kind in _GIVEN.items() if name < 'h')}, "
        "h: Optional[str] = 'no', i: Optional[int] = 7, j: str = 'default') -> dict:\n"
        "    return dict(a=a, b=b, c=c, d=d, e=e, g=g, h=h, i=i, j=j)\n",
        parameters=_VALUES,
    ),
    case("no_parameters", "def f(a: int = 5) -> int:\n    return a\n"),
    case("missing_parameter", "def f(a: int) -> int:\n    return a\n", parameters={}),
    case(
        "keyword_only",
        "def f(*, a: int, b: str = 'b') -> str:\n    return b * a\n",
        parameters={"a": 2},
    ),
    case(
        "named_tuple",
        "def f() -> NamedTuple('O', [('x', float), ('y', list), ('z', str)]):\n"
        "    return (1, [2], 'z')\n",
    ),
    case(
        "named_tuple_fields",
        "class O(NamedTuple):\n    x: int\n    y: Dataset\n"
        "def f() -> O:\n    return O(y='content', x=1)\n",
        makes={"y": artifact("y")},
    ),
    case(
        "named_tuple_short",
        "def f() -> NamedTuple('O', [('x', int), ('y', int)]):\n    return (1,)\n",
    ),
    case(
        "named_tuple_wrong",
        "def f() -> NamedTuple('O', [('x', int), ('y', int)]):\n    return (1, 'y')\n",
    ),
    case(
        "artifacts",
        "def f(data: Input[Dataset], model: Output[Model], plain: Output[Artifact]):\n"
        "    assert data.metadata['n'] == 3 and data.name == 'data'\n"
        "    model.framework = 'none'\n"
        "    model.metadata['from'] = data.uri\n"
        "    open(model.path, 'w').write(open(__file__).read()[:6])\n"
        "    open(plain.path, 'w').write(type(data).__name__)\n",
        reads={"data": artifact("data", metadata={"n": 3})},
        makes={"model": artifact("model", "system.Model"), "plain": artifact("deep/plain")},
    ),
    case(
        "schema_wins",
        "def f(data: Input[Dataset]) -> str:\n    return type(data).__name__\n",
        reads={"data": artifact("data", "system.Model")},
    ),
    case(
        "remote_paths",
        "def f(a: Input[Artifact], b: Input[Artifact], c: Input[Artifact], d: Input[Model],"
        " e: Input[Dataset]) -> list:\n    return [a.path, b.path, c.path, d.path, e.path]\n",
        reads={
            "a": artifact("a", uri="gs://b/a"),
            "b": artifact("b", uri="s3://b/b"),
            "c": artifact("c", uri="minio://b/c"),
            "d": artifact("d", "system.Model", uri="oci://r/m:1"),
            "e": artifact("e", uri="s3://b/e", metadata={"_kfp_workspace": True}),
        },
    ),
    case(
        "paths_set",
        "def f(a: Output[Artifact], b: Output[Artifact]):\n"
        "    a.path = '/s3/bucket/key'\n    b.set_path('/tmp/elsewhere')\n",
        makes={"a": artifact("a"), "b": artifact("b")},
    ),
    case(
        "artifact_lists",
        "def f(data: Input[List[Dataset]], more: List[Model]) -> list:\n"
        "    return [each.name for each in data] + [type(each).__name__ for each in more]\n",
        reads={
            "data": [artifact("a"), artifact("b")],
            "more": [artifact("c", "system.Model")],
        },
    ),
    case("no_list", "def f(data: Input[List[Dataset]] = None) -> bool:\n    return data is None\n"),
    case(
        "optional_artifact",
        "def f(data: Optional[Input[Dataset]] = None) -> bool:\n    return data is None\n",
    ),
    case(
        "optional_artifact_given",
        "def f(data: Optional[Input[Dataset]] = None) -> bool:\n    return data is None\n",
        reads={"data": artifact("data")},
    ),
    case(
        "pythonic",
        "def f(data: Dataset) -> Model:\n"
        "    return Model(name='m', uri=dsl.get_uri('x'), metadata={'of': data.name})\n",
        reads={"data": artifact("data")},
        makes={"Output": artifact("Output", "system.Model")},
    ),
    case(
        "returned_content",
        "def f() -> Dataset:\n    return {'a': 1}\n",
        makes={"Output": artifact("Output")},
    ),
    case("returned_nowhere", "def f() -> Dataset:\n    return 'x'\n"),
    case(
        "several_pythonic",
        "def f() -> NamedTuple('O', [('d', Dataset), ('m', Model), ('n', int)]):\n"
        "    return (Dataset(uri='s3://b/d'), Model(uri='gs://b/m', metadata={'a': 1}), 3)\n",
        makes={"d": artifact("d"), "m": artifact("m", "system.Model")},
    ),
    case(
        "path_annotations",
        "def f(data: InputPath('Dataset'), model: OutputPath(Model), text: OutputPath(str),"
        " other: OutputPath('Whatever'), number: OutputPath('Integer')):\n"
        "    open(model, 'w').write(data[-4:])\n    open(text, 'w').write('t')\n"
        "    open(other, 'w').write('o')\n    open(number, 'w').write('3')\n",
        reads={"data": artifact("data")},
        makes={
            "model": artifact("model", "system.Model"),
            "other": artifact("other", "system.Artifact"),
        },
        files=["text", "number"],
    ),
    case("path_missing", "def f(data: InputPath('Dataset')):\n    pass\n"),
    case(
        "metrics",
        "def f(m: Output[Metrics], c: Output[ClassificationMetrics], h: Output[HTML],"
        " t: Output[Markdown]):\n"
        "    m.log_metric('acc', 0.5)\n    m.log_metric('n', 3)\n"
        "    c.log_roc_curve([0, 1], [0, 1], [1, 0])\n    c.log_roc_data_point(0.5, 0.6, 0.7)\n"
        "    c.log_confusion_matrix(['a', 'b'], [[1, 2], [3, 4]])\n"
        "    c.log_confusion_matrix_cell('a', 'b', 9)\n"
        "    open(h.path, 'w').write('<p>')\n    open(t.path, 'w').write('#')\n",
        makes={
            "m": artifact("m", "system.Metrics"),
            "c": artifact("c", "system.ClassificationMetrics"),
            "h": artifact("h", "system.HTML"),
            "t": artifact("t", "system.Markdown"),
        },
    ),
    case(
        "categories",
        "def f(c: Output[ClassificationMetrics]):\n"
        "    c.set_confusion_matrix_categories(['a', 'b', 'c'])\n"
        "    c.log_confusion_matrix_row('b', [1, 2, 3])\n",
        makes={"c": artifact("c", "system.ClassificationMetrics")},
    ),
    *(
        case(
            f"wrong_metrics_{number}",
            "def f(c: Output[ClassificationMetrics]):\n"
            "    c.set_confusion_matrix_categories(['a', 'b'])\n"
            f"    c.{call}\n",
            makes={"c": artifact("c", "system.ClassificationMetrics")},
        )
        for number, call in enumerate(
            (
                "log_confusion_matrix_row('x', [1, 2])",
                "log_confusion_matrix_row('a', [1])",
                "log_confusion_matrix_cell('a', 'x', 1)",
                "log_confusion_matrix(['a'], [[1], [2]])",
                "log_roc_curve([1], [1, 2], [1])",
            )
        )
    ),
    case(
        "final_status",
        "def f(status: PipelineTaskFinalStatus, x: str = 'x') -> list:\n"
        "    return [status.state, status.pipeline_job_resource_name, status.pipeline_task_name,"
        " status.error_code, status.error_message, x]\n",
        parameters={
            "status": {
                "state": "FAILED",
                "pipelineJobResourceName": "j",
                "pipelineTaskName": "t",
                "error": {"code": 3, "message": "m"},
            }
        },
    ),
    case(
        "old_final_status",
        "def f(status: PipelineTaskFinalStatus) -> list:\n"
        "    return [status.state, status.pipeline_job_resource_name, status.pipeline_task_name]\n",
        parameters={
            "status": {"state": "S", "pipeline_job_resource_name": "j", "pipeline_task_name": "t"}
        },
    ),
    case(
        "task_config",
        "def f(config: TaskConfig) -> list:\n"
        "    return [config.resources, config.node_selector, config.volume_mounts, config.env]\n",
        parameters={"config": {"resources": {"limits": {"cpu": "1"}}, "nodeSelector": {"a": "b"}}},
    ),
    case("no_task_config", "def f(config: TaskConfig) -> bool:\n    return config.env is None\n"),
    case(
        "embedded",
        "__KFP_EMBEDDED_ASSET_DIR = '/some/folder'\n"
        "def f(files: dsl.EmbeddedInput[Dataset]) -> str:\n"
        "    return type(files).__name__ + files.path\n",
    ),
    case("embedded_missing", "def f(files: dsl.EmbeddedInput[Dataset]):\n    pass\n"),
    case(
        "not_chief",
        "def f() -> int:\n    return 1\n",
        variables={"CLUSTER_SPEC": '{"task": {"type": "worker"}}'},
    ),
    case(
        "chief",
        "def f() -> int:\n    return 1\n",
        variables={"CLUSTER_SPEC": '{"task": {"type": "chief"}}'},
    ),
    case("fails", "def f() -> int:\n    raise ValueError('x')\n"),
    case(
        "placeholders",
        "def f() -> list:\n    return [dsl.PIPELINE_JOB_NAME_PLACEHOLDER,"
        " PIPELINE_TASK_ID_PLACEHOLDER, dsl.WORKSPACE_PATH_PLACEHOLDER]\n",
    ),
    case(
        "custom_type",
        "class Mine(Artifact):\n    schema_title = 'mine.Mine'\n"
        "def f(a: Input[Mine]) -> str:\n    return type(a).__name__ + a.uri\n",
        reads={"a": artifact("a", "mine.Mine", uri="s3://b/a")},
    ),
]
