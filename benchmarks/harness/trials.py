"""Searches of trivial trials: as Experiments, as bare processes, and in the libraries' own ways.

A trial imports what its program needs and prints one value. Everybody draws at random, so that what is
measured is the way from a proposal to its value.
"""

import concurrent.futures
import dataclasses
import json
import random
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from harness import pods, processes, rates
from harness.control_plane import NAMESPACE, ControlPlane

EXPERIMENTS = f"/apis/kubeflow.org/v1beta1/namespaces/{NAMESPACE}/experiments"
_LIMIT_SECONDS = 600.0
_VALUE = "print(f'loss={(x - 0.3) ** 2}')"

_OPTUNA = """
import time; started = time.time()
import json, sys, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
first = []
study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
begun = time.time()
study.optimize(
    lambda trial: (trial.suggest_float("x", 0, 1) - 0.3) ** 2, n_trials=int(sys.argv[1]),
    callbacks=[lambda *_: first or first.append(time.time())],
)
print(json.dumps({"seconds": time.time() - begun, "first": first[0]}))
"""
_RAY = """
import json, os, sys, time
os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "RAY_USAGE_STATS_ENABLED": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
import ray
from ray import tune
count, parallel, reuse, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1", sys.argv[4]
ray.init(
    num_cpus=parallel, include_dashboard=False, log_to_driver=False, logging_level="ERROR", _temp_dir=folder
)
first = []
class Heard(tune.Callback):
    def on_trial_result(self, *_, **__):
        first or first.append(time.time())
def objective(config):
    tune.report({"loss": (config["x"] - 0.3) ** 2})
begun = time.time()
tuner = tune.Tuner(
    objective,
    param_space={"x": tune.uniform(0, 1)},
    tune_config=tune.TuneConfig(num_samples=count, max_concurrent_trials=parallel, reuse_actors=reuse),
    run_config=tune.RunConfig(verbose=0, callbacks=[Heard()], storage_path=folder),
)
results = tuner.fit()
seconds = time.time() - begun
ended = sum(1 for one in results if "loss" in (one.metrics or {}))
print(json.dumps({"seconds": seconds, "first": first[0], "ended": ended}))
"""


@dataclasses.dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        trials: How many have told their value.
        seconds: From the call to the end of all.
        first: Seconds from the call until the first value was known.
        marks: When so many trials had ended, as they were seen: seconds and number.
    """

    trials: int
    seconds: float
    first: float
    marks: tuple[tuple[float, int], ...] = ()

    @property
    def rate(self) -> float:
        """Trials a second."""
        return self.trials / self.seconds

    def rate_between(self, lower: int, upper: int) -> float:
        """Return the trials a second from one number of ended trials to another."""
        return rates.between(self.marks, lower, upper)


def experiment(
    name: str, program: str, image: str, *, trials: int, parallel: int, warm: bool = True
) -> dict[str, Any]:
    """Return a search by chance over one number.

    Args:
        name: Of the Experiment.
        program: What each trial runs before it prints its value.
        image: That its pods name.
        trials: How many.
        parallel: How many at once.
        warm: Whether pods may start warm.
    """
    spec = pods.pod_spec(["python", "-c", f"{program}\nx = ${{trialParameters.x}}\n{_VALUE}"])
    spec["containers"][0]["image"] = image
    annotations = {} if warm else {"wherry.dev/warm-start": "false"}
    template = {"metadata": {"annotations": annotations}, "spec": spec}
    return {
        "metadata": {"name": name},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": trials,
            "parallelTrialCount": parallel,
            "maxFailedTrialCount": 1,
            "parameters": [
                {"name": "x", "parameterType": "double", "feasibleSpace": {"min": 0, "max": 1}}
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "spec": {"backoffLimit": 0, "template": template},
                },
            },
        },
    }


def run(plane: ControlPlane, wanted: dict[str, Any]) -> Run:
    """Run an Experiment to its end.

    Raises:
        RuntimeError: a trial has failed, or it has no best one.
        TimeoutError: it does not end.
    """
    called = time.monotonic()
    plane.call("POST", EXPERIMENTS, wanted)
    first, marks = 0.0, [(0.0, 0)]
    for status in _statuses(plane, wanted):
        elapsed = time.monotonic() - called
        if not first and "currentOptimalTrial" in status:
            first = elapsed
        ended = status.get("trialsSucceeded", 0)
        if ended > marks[-1][1]:
            marks.append((elapsed, ended))
        if _has_ended(wanted, status):
            return Run(ended, elapsed, first, tuple(marks))
    raise AssertionError("statuses end with an error or never")


def run_all(plane: ControlPlane, several: list[dict[str, Any]]) -> float:
    """Run Experiments at once; return the seconds until the last has ended.

    Raises:
        RuntimeError: a trial has failed.
        TimeoutError: one does not end.
    """
    called = time.monotonic()
    for wanted in several:
        plane.call("POST", EXPERIMENTS, wanted)
    for wanted in several:
        for status in _statuses(plane, wanted):
            if _has_ended(wanted, status):
                break
    return time.monotonic() - called


def _statuses(plane: ControlPlane, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return plane.statuses(EXPERIMENTS, wanted["metadata"]["name"], seconds=_LIMIT_SECONDS)


def _has_ended(wanted: dict[str, Any], status: dict[str, Any]) -> bool:
    ended = {one["type"]: one for one in status.get("conditions", []) if one["status"] == "True"}
    if "Failed" in ended:
        raise RuntimeError(f"{wanted['metadata']['name']}: {ended['Failed']['message']}")
    count = wanted["spec"]["maxTrialCount"]
    return "Succeeded" in ended and status.get("trialsSucceeded") == count


def bare(python: str, program: str, *, trials: int, parallel: int, **variables: str) -> Run:
    """Run as many bare processes, each with a value drawn at random, and read what they print.

    Args:
        python: Their interpreter.
        program: What each does first.
        trials: How many.
        parallel: How many at once.
        **variables: Of their environment, beside the usual ones.
    """
    environment = {**processes.environment(), **variables}
    draw, called = random.Random(1), time.monotonic()
    first: list[float] = []

    def one(x: float) -> float:
        code = f"{program}\nx = {x}\n{_VALUE}"
        done = subprocess.run(
            [python, "-c", code], env=environment, check=True, capture_output=True
        )
        found = float(done.stdout.partition(b"=")[2])
        first.append(time.monotonic() - called)
        return found

    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        told = [*pool.map(one, [draw.random() for _ in range(trials)])]
    return Run(len(told), time.monotonic() - called, first[0])


def optuna(python: str, *, trials: int) -> Run:
    """Run a study in one process: without processes, objects or pods; the rate without its imports."""
    return _library(python, _OPTUNA, str(trials))


def ray(python: str, folder: str, *, trials: int, parallel: int, reuse: bool) -> Run:
    """Run a tuner of Ray; the rate without its imports and without the start of its cluster.

    Args:
        python: An interpreter that has Ray.
        folder: For its files.
        trials: How many.
        parallel: How many at once, and how many CPUs it is told of.
        reuse: Whether trials share processes, which it does only if asked.

    Raises:
        RuntimeError: not all trials have told a value.
    """
    return _library(python, _RAY, str(trials), str(parallel), str(int(reuse)), folder)


def _library(python: str, script: str, *words: str) -> Run:
    called = time.time()
    done = subprocess.run(
        [python, "-c", script, *words],
        env=processes.environment(),
        check=True,
        capture_output=True,
        timeout=_LIMIT_SECONDS,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    ended, wanted = told.get("ended", int(words[0])), int(words[0])
    if ended != wanted:
        raise RuntimeError(f"{ended} of {wanted} trials have told a value")
    return Run(wanted, told["seconds"], told["first"] - called)
