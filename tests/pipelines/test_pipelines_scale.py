"""A run of a thousand steps: its result is right, and what is told of it stays small however many there are."""

import json
import math
import sys
from pathlib import Path

import pytest

from wherry.controller import finalizers
from wherry.objects import metadata
from wherry.pipelines import kinds, status
from wherry.testing.kubectl import Kubectl
from wherry.testing.waiting import eventually

OUT = "{{$.outputs.parameters['out'].output_file}}"
LEVELS, ABREAST = 200, 5
STEPS = LEVELS * ABREAST
SECONDS = 1500
KIB = 1024
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def levels(pipeline):
    """Return a pipeline of levels of steps, each of which adds up two of the level before."""
    made = pipeline()
    made.step(
        "add",
        f"echo $(({{{{$.inputs.parameters['a']}}}} + {{{{$.inputs.parameters['b']}}}})) > {OUT}",
        inputs={"a": "NUMBER_INTEGER", "b": "NUMBER_INTEGER"},
        outputs={"out": "NUMBER_INTEGER"},
    )
    for level in range(LEVELS):
        for place in range(ABREAST):
            before = [(f"add-{level - 1}-{at}", "out") for at in (place, place - 1) if at >= 0]
            given = dict(zip("ab", [*before, 0] if level else [1, 0], strict=False))
            made.task(f"add-{level}-{place}", "add", parameters=given)
    made.output("sum", f"add-{LEVELS - 1}-{ABREAST - 1}", "out", "NUMBER_INTEGER")
    return made.spec()


def wanted():
    """Return what its last step gives: all ways up to it, from any step of the first level."""
    return sum(math.comb(LEVELS - 1, right) for right in range(ABREAST))


def test_a_thousand_steps_that_wait_for_one_another(own_runs, pipeline, tmp_path):
    run = own_runs.start(levels(pipeline))
    largest = 0

    def ended():
        nonlocal largest
        seen = own_runs.get()
        largest = max(largest, len(json.dumps(seen.get("status") or {})))
        return seen if status.is_finished(seen) else {}

    run = eventually(ended, SECONDS, what="the end of the run")
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    assert run["status"]["outputs"] == {"sum": wanted()}
    assert run["status"]["tasks"] == {"total": STEPS, "succeeded": STEPS}
    assert largest < 16 * KIB
    steps = {path: row for path, row in own_runs.rows(run).items() if path != "root"}
    assert len(steps) == STEPS
    assert {(row.state, row.attempt) for row in steps.values()} == {("SUCCEEDED", 0)}
    assert_nothing_is_held(own_runs)
    (row,) = looked_at(own_runs, tmp_path)
    assert (row["STATE"], row["PROGRESS"]) == (kinds.SUCCEEDED, f"{STEPS}/{STEPS}")


def assert_nothing_is_held(own_runs):
    """Check that each step had one pod, and that all of these may go."""
    pods = own_runs.pods()
    assert len({metadata.name(pod) for pod in pods}) == STEPS
    eventually(
        lambda: not any(finalizers.has_finalizer(pod, kinds.FINALIZER) for pod in own_runs.pods()),
        60,
        what="the release of all pods",
    )


def looked_at(own_runs, tmp_path):
    """Return the runs as kubectl lists them."""
    binary = str(Path(sys.executable).with_name("kubectl"))
    kubectl = Kubectl(binary, own_runs.platform.kubeconfig, tmp_path, own_runs.namespace)
    return kubectl("get", "pipelineruns", seconds=120).table
