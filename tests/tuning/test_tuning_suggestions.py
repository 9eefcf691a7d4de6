"""Suggestions whose algorithm does not answer."""

import dataclasses
import datetime
from collections.abc import Sequence

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.objects import conditions
from wherry.testing import played
from wherry.testing.clock import FakeClock
from wherry.testing.played import condition
from wherry.tuning import collecting, component
from wherry.tuning.asking import Asker
from wherry.tuning.controller import experiment, suggestion
from wherry.tuning.kinds import EXPERIMENTS, SUGGESTIONS

MANIFEST = {
    "metadata": {"name": "e"},
    "spec": {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {"algorithmName": "random"},
        "maxTrialCount": 3,
        "parameters": [
            {"name": "x", "parameterType": "double", "feasibleSpace": {"min": 0, "max": 1}}
        ],
        "trialTemplate": {
            "primaryContainerName": "main",
            "trialParameters": [{"name": "x", "reference": "x"}],
            "trialSpec": {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"labels": {"x": "${trialParameters.x}"}},
            },
        },
    },
}


@pytest.fixture
async def hasty(tmp_path):
    """A world in which nobody waits for an answer."""

    def controllers(manager: Manager) -> Sequence[Controller]:
        asker = Asker(deadline_seconds=0.001)
        metrics = collecting.of(manager, lambda _: None)
        return (experiment.controller(manager), suggestion.controller(manager, asker, metrics))

    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    tried = dataclasses.replace(component.COMPONENT, controllers=controllers)
    clock = FakeClock(datetime.datetime.now(datetime.UTC))
    async with played.world((tried,), clock=clock, settings=settings) as world:
        yield world


async def test_an_algorithm_that_never_answers_fails_the_search_and_says_why(hasty):
    await hasty.create(EXPERIMENTS, MANIFEST)
    found = await hasty.until_condition(EXPERIMENTS, "e", "Failed")
    assert "gave no answer within 0.001 s" in condition(found, "Failed")["message"]
    asked = await hasty.get(SUGGESTIONS, "e")
    assert conditions.is_true(asked, "Failed")
