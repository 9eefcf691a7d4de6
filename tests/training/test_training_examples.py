"""The examples of frameworks are applied as they stand: their ranks train together, on real data."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wherry.objects import conditions, kinds
from wherry.objects.requests import Object
from wherry.testing import builders
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

EXAMPLES = Path(__file__).parents[2] / "examples" / "04-frameworks"
KUBECTL = str(Path(sys.executable).with_name("kubectl"))
JOBS = {
    "chainer": ("chainerjob/chainer", 3),
    "jax": ("jaxjob/jax", 2),
    "lightgbm": ("xgboostjob/lightgbm", 3),
    "mpi": ("mpijob/mpi", 3),
    "mxnet": ("mxjob/mxnet", 2),
    "paddle": ("paddlejob/paddle", 2),
    "tensorflow": ("tfjob/tensorflow-mirrored", 2),
    "tensorflow-parameter-servers": ("tfjob/tensorflow-servers", 1),
    "xgboost": ("xgboostjob/xgboost", 3),
}
"""By file: the job, and how many of its pods tell what they have come to."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def kubectl(
    shared_platform: InProcessPlatform, request: pytest.FixtureRequest
) -> Iterator[Callable[..., str]]:
    """Return what runs kubectl in a namespace of the test's own."""
    namespace = request.node.callspec.params["name"]
    client = shared_platform.client
    shared_platform.call(client.create(kinds.NAMESPACES, builders.namespace(namespace)))
    command = [KUBECTL, "--kubeconfig", str(shared_platform.kubeconfig), "-n", namespace]

    def run(*words: str) -> str:
        done = subprocess.run(
            [*command, *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    shared_platform.call(client.delete(kinds.NAMESPACES, namespace))


def ended(kubectl: Callable[..., str], job: str) -> Object | None:
    """Return a job that has ended, else None."""
    obj: Object = json.loads(kubectl("get", job, "-o", "json"))
    return obj if obj.get("status", {}).get("completionTime") else None


@pytest.mark.parametrize("name", JOBS)
def test_the_ranks_of_an_example_train_as_one(kubectl: Callable[..., str], name: str) -> None:
    kubectl("apply", "-f", str(EXAMPLES / f"{name}.yaml"))
    job, tellers = JOBS[name]
    obj = eventually(lambda: ended(kubectl, job), 800, what=job)
    assert obj is not None
    well = any(conditions.is_true(obj, each) for each in ("Succeeded", "Complete"))
    assert well, conditions.get(obj, "Failed")
    label = f"training.kubeflow.org/job-name={job.partition('/')[2]}"
    lines = kubectl("logs", "-l", label, "--tail=-1").splitlines()
    told = sorted(
        (json.loads(line) for line in lines if line.startswith("{")), key=lambda each: each["rank"]
    )
    assert [each["rank"] for each in told] == list(range(tellers))
    for each in told:
        assert each["size"] == max(tellers, 2)
        assert each["losses"][-1] < each["losses"][0] / 2
    assert len({each["model"] for each in told}) == 1


def test_every_example_is_tried() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == JOBS.keys()
