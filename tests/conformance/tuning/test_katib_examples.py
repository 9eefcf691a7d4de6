"""The experiments that Katib comes with, applied unmodified and run to their end by real pods.

They are read from checkouts that WHERRY_KATIB (v1beta1) and WHERRY_KATIB_0_9 (tag v0.9.0, v1alpha3)
name, the first for both; nothing of them is kept. What their images hold is stood in for by programs
beside this file: they take the same arguments, print the same lines, and train on the digits that come
with scikit-learn. What is checked at the end is what Katib's own end-to-end tests check, and that the
best trial is the best.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.embedded.settings import Settings
from wherry.kubelet.environments.kinds import ENVIRONMENTS
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.testing import builders, environments
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually
from wherry.tuning.kinds import EXPERIMENT_LABEL, EXPERIMENTS, SUGGESTIONS, TRIALS

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PINS = ROOT / "requirements" / "clients-tuning.txt"
CHECKOUTS = {
    "katib": (os.environ.get("WHERRY_KATIB", ""), "examples/v1beta1"),
    "katib-0.9": (os.environ.get("WHERRY_KATIB_0_9", ""), "examples/v1alpha3"),
}
VARIABLES = {"katib": "WHERRY_KATIB", "katib-0.9": "WHERRY_KATIB_0_9"}
REFUSED = {
    "hp-tuning/simple-pbt.yaml": ("spec.maxFailedTrialCount", "3", "maxTrialCount"),
    "tekton/pipeline-run.yaml": ("spec.trialTemplate", "learningRate"),
    "trial-template/trial-configmap-source.yaml": (
        "${trialParameters.momentum} is not among trialParameters",
        "there is no ${trialParameters.optimizer}",
    ),
}
"""Examples that cannot work as they stand, and what has to be in the message that says so."""
NAMESPACES = ("argo", "kubeflow-user-example-com")
RESUMED = ("FromVolume", "LongRunning")
SECONDS = 600

pytestmark = pytest.mark.timeout(2 * SECONDS)


def _cases() -> Iterator[Any]:
    for group, (checkout, folder) in CHECKOUTS.items():
        path = HERE / "names" / f"{group}.json"
        for row in json.loads(path.read_text(encoding="utf-8")):
            name = row["name"]
            if row.get("notApplicable") or not name.startswith(f"{folder}/"):
                continue
            mark = pytest.mark.conformance("tuning", group=group, name=name)
            missing = pytest.mark.skipif(
                not (checkout and CHECKOUTS["katib"][0]),
                reason=f"{VARIABLES[group]}, or {VARIABLES['katib']}, names no checkout",
            )
            short = name.removeprefix(f"{folder}/")
            yield pytest.param(group, short, marks=[mark, missing], id=name)


def _document(group: str, name: str) -> Object:
    checkout, folder = CHECKOUTS[group]
    text = (Path(checkout) / folder / name).read_text(encoding="utf-8")
    (document,) = (one for one in yaml.safe_load_all(text) if one)
    return dict(document)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessPlatform]:
    """A platform with GPUs that it says it has, on which images are our programs."""
    folder = tmp_path_factory.mktemp("katib") / "platform"
    made = InProcessPlatform(Settings(directory=folder, port=0, gpus=4))
    made.start()
    try:
        for name, spec in images():
            body = {"metadata": {"name": name}, "spec": spec}
            made.call(made.client.create(ENVIRONMENTS, body))
        for namespace in NAMESPACES:
            # Argo's server may have made its own already.
            with contextlib.suppress(errors.AlreadyExistsError):
                made.call(made.client.create(kinds.NAMESPACES, builders.namespace(namespace)))
        # Argo's installation has it.
        account = {"metadata": {"name": "argo", "namespace": "argo"}}
        made.call(made.client.create(kinds.SERVICE_ACCOUNTS, account))
        apply_templates(made)
        yield made
    finally:
        made.stop()


def images() -> Iterator[tuple[str, Object]]:
    """Yield what stands for Katib's images."""
    mnist, hypertune = "/opt/pytorch-mnist/mnist.py", "cloudml-hypertune"
    current = ("*/pytorch-mnist-cpu:*", "kubeflowkatib/pytorch-mnist:v*")
    yield "pytorch-mnist", image(current, mnist, "pytorch_mnist", hypertune)
    old = ("kubeflowkatib/pytorch-mnist:latest", "kubeflowkatib/pytorch-mnist:1.0")
    log = {"DIGITS_LOG": "/katib/mnist.log"}
    yield "old-pytorch-mnist", image(old, "/var/mnist.py", "pytorch_mnist", hypertune, env=log)
    distributed = ("gcr.io/kubeflow-ci/pytorch-dist-mnist-test:v1.0",)
    says = {"DIGITS_SAYS_ACCURACY": "1"}
    yield "dist-mnist", image(distributed, "/var/mnist.py", "pytorch_mnist", hypertune, env=says)
    mxnet = ("kubeflowkatib/mxnet-mnist:*",)
    yield "mxnet-mnist", image(mxnet, "/opt/mxnet-mnist/mnist.py", "mxnet_mnist")
    yield "enas", image(("*enas-cnn-cifar10*:*",), "/enas/RunTrial.py", "enas_run_trial")
    yield "darts", image(("*darts-cnn-cifar10*:*",), "/darts/run_trial.py", "darts_run_trial")
    summaries = ("ghcr.io/kubeflow/katib/tf-mnist-with-summaries:*",)
    place, writes = "/opt/tf-mnist-with-summaries/mnist.py", "tf_mnist_with_summaries"
    yield "summaries", image(summaries, place, writes, "tensorboardX")
    summaries, place = (
        ("gcr.io/kubeflow-ci/tf-mnist-with-summaries:1.0",),
        "/var/tf_mnist/mnist_with_summaries.py",
    )
    tag = {"DIGITS_TAG": "accuracy_1"}
    yield "old-summaries", image(summaries, place, writes, "tensorboardX", env=tag)
    lightgbm = image(("*/xgboost-lightgbm:*",), "/opt/train.py", "lightgbm_train", "lightgbm")
    yield "lightgbm", {**lightgbm, "entrypoint": ["python", "/opt/train.py"]}
    horovod, place = ("kubeflow/mpi-horovod-mnist:*",), "/examples/tensorflow_mnist.py"
    yield "horovod", image(horovod, place, "horovod_mnist", "mpi4py", "openmpi<5")
    messages = {"PYTHONPATH": f"{CHECKOUTS['katib'][0]}/pkg/apis/manager/v1beta1/python"}
    custom, place = ("*/custom-metrics-collector:*",), "/opt/collector.py"
    sends = image(custom, place, "custom_collector", "grpcio", "protobuf", env=messages)
    yield "custom-collector", {**sends, "entrypoint": ["python", place]}


def image(
    names: Sequence[str], path: str, program: str, *packages: str, env: dict[str, str] | None = None
) -> Object:
    """Return the Environment that stands for images that hold a program of ours at a path."""
    files = {path: program, str(Path(path).with_name("digits.py")): "digits"}
    folder = HERE / "programs"
    return {
        "images": list(names),
        "requirements": ["numpy", "scikit-learn", *packages],
        "files": {at: (folder / f"{name}.py").read_text() for at, name in files.items()},
        "workingDir": str(Path(path).parent),
        "preload": ["numpy", "sklearn.datasets"],
        "env": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **(env or {})},
    }


def own_program(folder: Path) -> Object:
    """Return the Environment that holds Katib's own program, with images in a folder of ours."""
    name = "trial-images/pytorch-mnist/mnist.py"
    text = Path(CHECKOUTS["katib"][0], "examples/v1beta1", name).read_text(encoding="utf-8")
    return {
        "images": ["ghcr.io/kubeflow/katib/pytorch-mnist-cpu:latest"],
        "requirements": ["torch", "torchvision", "cloudml-hypertune", "numpy", "scikit-learn"],
        "findLinks": [each for each in os.environ.get("PIP_FIND_LINKS", "").split() if each],
        "files": {
            "/opt/pytorch-mnist/mnist.py": text,
            "/opt/fashion.py": (HERE / "programs" / "fashion.py").read_text(encoding="utf-8"),
        },
        "workingDir": str(folder),
        "preload": ["torch", "torchvision"],
        "env": {"OMP_NUM_THREADS": "1"},
    }


def apply_templates(platform: InProcessPlatform) -> None:
    """Apply the templates of trials that Katib is installed with."""
    checkout, _ = CHECKOUTS["katib"]
    path = Path(checkout, "manifests/v1beta1/components/controller/trial-templates.yaml")
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    where = metadata.name(document), document, metadata.namespace(document)
    platform.call(platform.client.patch(kinds.CONFIG_MAPS, *where))


def create(platform: InProcessPlatform, document: Object) -> Object:
    group, _, version = document["apiVersion"].partition("/")
    resource = Resource(group, version, "experiments", "Experiment")
    return platform.call(platform.client.create(resource, document))


def ended(platform: InProcessPlatform, made: Object, trials: int | None = None) -> Object:
    """Return an experiment once it has ended, and has that many trials at least."""

    def found() -> Object | None:
        where = metadata.name(made), metadata.namespace(made)
        obj = platform.call(platform.client.get(EXPERIMENTS, *where))
        over = any(conditions.is_true(obj, each) for each in ("Succeeded", "Failed"))
        enough = obj.get("status", {}).get("trials", 0) >= (trials or 0)
        return obj if over and enough else None

    obj = eventually(found, SECONDS, what=f"{metadata.name(made)} has ended")
    assert obj is not None
    return obj


def trials_of(platform: InProcessPlatform, experiment: Object) -> list[Object]:
    label = f"{EXPERIMENT_LABEL}={metadata.name(experiment)}"
    namespace = metadata.namespace(experiment)
    listed = platform.call(platform.client.list(TRIALS, namespace, labels=label))
    return list(listed.items)


def check(platform: InProcessPlatform, experiment: Object) -> None:
    """Check what Katib's end-to-end tests check, and that the best trial is the best."""
    trials = trials_of(platform, experiment)
    told = [
        metadata.name(one) + ": " + one["status"]["conditions"][-1]["message"] for one in trials
    ]
    assert conditions.is_true(experiment, "Succeeded"), told
    spec, status = experiment["spec"], experiment["status"]
    reason = (conditions.get(experiment, "Succeeded") or {})["reason"]
    completed = status.get("trialsSucceeded", 0) + status.get("trialsEarlyStopped", 0)
    if reason == "ExperimentMaxTrialsReached":
        assert completed == spec["maxTrialCount"], told
    objective = spec["objective"]
    best = status["currentOptimalTrial"]
    reached = value(objective, best["observation"])
    if reason == "ExperimentGoalReached":
        sign = 1 if objective["type"] == "minimize" else -1
        assert sign * float(reached) <= sign * objective["goal"]
    check_best(experiment, trials)
    check_suggestion(platform, experiment)


def value(objective: Object, observation: Object) -> str:
    """Return what counts of an observation."""
    name = objective["objectiveMetricName"]
    strategies = {each["name"]: each["value"] for each in objective["metricStrategies"]}
    (metric,) = (each for each in observation["metrics"] if each["name"] == name)
    chosen = str(metric[strategies[name]])
    return str(metric["latest"]) if chosen == "unavailable" else chosen  # a text has no largest


def check_best(experiment: Object, trials: list[Object]) -> None:
    """Check that no trial is better than the one that is told to be the best."""
    objective, best = experiment["spec"]["objective"], experiment["status"]["currentOptimalTrial"]
    seen = {
        metadata.name(one): value(objective, one["status"]["observation"])
        for one in trials
        if any(conditions.is_true(one, each) for each in ("Succeeded", "EarlyStopped"))
        and one["status"].get("observation")
    }
    reached = seen[best["bestTrialName"]]
    if objective["objectiveMetricName"] == "Best-Genotype":
        assert reached.startswith("Genotype(")
        return
    pick = min if objective["type"] == "minimize" else max
    assert float(reached) == pick(float(each) for each in seen.values())


def check_suggestion(platform: InProcessPlatform, experiment: Object) -> None:
    """Check that the Suggestion is as the resume policy wants it at the end."""
    where = metadata.name(experiment), metadata.namespace(experiment)
    runs = experiment["spec"]["resumePolicy"] == "LongRunning"

    def is_as_it_should_be() -> bool:
        suggestion = platform.call(platform.client.get(SUGGESTIONS, *where))
        assert conditions.is_true(suggestion, "Running") is runs
        assert conditions.is_true(suggestion, "Succeeded") is not runs
        return True

    eventually(is_as_it_should_be, 60)


@pytest.mark.parametrize(("group", "name"), list(_cases()))
def test_the_experiment_runs_to_its_end(platform, group, name):
    if name.endswith(".ipynb"):
        checkout, folder = CHECKOUTS[group]
        said = run_notebook(platform, Path(checkout, folder, name))
        assert said.count("Trial Status: {") == 3
        assert said.count("Suggestion is succeeded") == 2
        return
    document = _document(group, name)
    if name in REFUSED:
        with pytest.raises(errors.ApiError) as error:
            create(platform, document)
        assert all(each in str(error.value) for each in REFUSED[name]), str(error.value)
        return
    made = create(platform, document)
    try:
        experiment = ended(platform, made)
        check(platform, experiment)
        if group == "katib" and experiment["spec"]["resumePolicy"] in RESUMED:
            most = experiment["spec"]["maxTrialCount"] + 1
            where = metadata.name(made), {"spec": {"maxTrialCount": most}}, metadata.namespace(made)
            platform.call(platform.client.patch(EXPERIMENTS, *where))
            again = ended(platform, made, most)
            assert conditions.is_true(again, "Restarting")
            check(platform, again)
    finally:
        platform.call(
            platform.client.delete(EXPERIMENTS, metadata.name(made), metadata.namespace(made))
        )


def run_notebook(platform, path):
    """Run a notebook with Katib's SDK, as its user would; return what it prints."""
    python = environments.environment(PINS, ROOT / "build" / "clients") / "bin" / "python"
    variables = {"PATH": os.environ["PATH"], "KUBECONFIG": str(platform.kubeconfig)}
    done = subprocess.run(
        [python, HERE / "programs" / "notebook.py", path],
        env=variables,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not CHECKOUTS["katib"][0], reason="WHERRY_KATIB names no checkout")
def test_katibs_own_program_trains_in_an_example(platform, tmp_path):
    """With PyTorch, on files of the form of FashionMNIST's; it goes before the other for its tag."""
    spec = own_program(tmp_path)
    body = {"metadata": {"name": "own"}, "spec": spec}
    platform.call(platform.client.create(ENVIRONMENTS, body))
    files = builders.container("main", image=spec["images"][0])
    files |= {"command": ["python", "/opt/fashion.py", "data"]}
    pod = builders.pod("files", containers=[files], restartPolicy="Never")
    platform.call(platform.client.create(kinds.PODS, pod))

    def written() -> bool:
        found = platform.call(platform.client.get(kinds.PODS, "files", "default"))
        assert found["status"]["phase"] != "Failed"
        return bool(found["status"]["phase"] == "Succeeded")

    eventually(written, SECONDS)
    document = _document("katib", "metrics-collector/file-metrics-collector-with-json-format.yaml")
    document["metadata"]["name"] = "own-program"
    made = create(platform, document)
    try:
        experiment = ended(platform, made)
        check(platform, experiment)
        (accuracy, _) = experiment["status"]["currentOptimalTrial"]["observation"]["metrics"]
        assert float(accuracy["max"]) > 0.5
    finally:
        platform.call(platform.client.delete(EXPERIMENTS, "own-program", "kubeflow"))
        platform.call(platform.client.delete(ENVIRONMENTS, "own"))


@pytest.mark.parametrize("group", list(CHECKOUTS))
def test_no_example_is_left_out(group):
    checkout, folder = CHECKOUTS[group]
    if not checkout:
        pytest.skip(f"no checkout of {group}")
    listed = {row["name"] for row in json.loads((HERE / "names" / f"{group}.json").read_text())}
    root = Path(checkout)
    there = {
        str(path.relative_to(root))
        for pattern in ("*.yaml", "*.ipynb")
        for path in (root / folder).rglob(pattern)
    }
    assert there - listed == set()
