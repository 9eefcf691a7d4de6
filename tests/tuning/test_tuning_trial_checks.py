"""Trials that no experiment has made: refused, or ended, with the field that is wrong."""

import dataclasses
from typing import Any

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.objects import errors
from wherry.testing import played
from wherry.testing.played import condition
from wherry.tuning import component as tuning
from wherry.tuning import trial_checks
from wherry.tuning.kinds import TRIALS


def trial(**spec: Any) -> dict[str, Any]:
    """Return a trial of a Job that nobody looks at."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}}
    run = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}}
    return {
        "metadata": {"name": "t"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "primaryContainerName": "main",
            "runSpec": run,
            **spec,
        },
    }


WRONG = [
    (
        {"metricsCollector": {"collector": {"kind": "Pigeon"}}},
        "spec.metricsCollector.collector.kind",
    ),
    (
        {
            "metricsCollector": {
                "collector": {"kind": "File"},
                "source": {"fileSystemPath": {"path": "a"}},
            }
        },
        "spec.metricsCollector.source.fileSystemPath.path",
    ),
    ({"metricsCollector": {"deadlineSeconds": "soon"}}, "spec.metricsCollector.deadlineSeconds"),
    ({"metricsCollector": {"deadlineSeconds": 0}}, "spec.metricsCollector.deadlineSeconds"),
    ({"successCondition": "status.[@this"}, "spec.successCondition"),
]


@pytest.mark.parametrize(("spec", "field"), WRONG)
def test_the_wrong_field_is_named(spec, field):
    assert field in [cause.field for cause in trial_checks.validate(trial(**spec), None)]


def test_a_plain_trial_is_right():
    assert trial_checks.validate(trial(), None) == []
    collector = {"collector": {"kind": "None"}, "deadlineSeconds": 5}
    assert trial_checks.validate(trial(metricsCollector=collector), None) == []


def test_one_that_came_in_otherwise_may_still_be_changed_but_for_its_spec():
    bad = trial(metricsCollector={"collector": {"kind": "Pigeon"}})
    assert trial_checks.validate({**bad, "status": {"conditions": []}}, bad) == []
    worse = trial(metricsCollector={"collector": {"kind": "Dove"}})
    assert trial_checks.validate(worse, bad)


@pytest.mark.parametrize(("spec", "field"), WRONG)
async def test_it_is_refused(world, spec, field):
    with pytest.raises(errors.InvalidError) as caught:
        await world.create(TRIALS, trial(**spec))
    assert field in str(caught.value)


async def test_one_that_nobody_has_refused_fails_with_the_field(tmp_path):
    # As on a cluster whose webhooks were away.
    kinds = tuple(dataclasses.replace(kind, validate=None) for kind in tuning.COMPONENT.kinds)
    unchecked = dataclasses.replace(tuning.COMPONENT, kinds=kinds)
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    async with played.world((unchecked,), settings=settings) as world:
        collector = {"collector": {"kind": "Pigeon"}}
        await world.create(TRIALS, trial(metricsCollector=collector))
        ended = await world.until_condition(TRIALS, "t", "Failed")
    told = condition(ended, "Failed")["message"]
    assert 'spec.metricsCollector.collector.kind: "Pigeon": want one of StdOut, File' in told
