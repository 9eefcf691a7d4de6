"""`wherry.tune` against a real platform: functions, their best parameters, tables, figures, stopping."""

import importlib.util
import io
import json
import re
import sys

import pytest

import wherry
from wherry.cli import main
from wherry.client.progress_lines import ProgressLine
from wherry.testing.waiting import eventually
from wherry.tuning.sdk import plots, results, space
from wherry.tuning.sdk import settings as setting
from wherry.tuning.sdk.errors import TuningError
from wherry.tuning.sdk.results import Trial

pytestmark = pytest.mark.timeout(600)

CODE = """
import time

import wherry


def parabola(x, kind="a", layers=1, scale=1.0):
    return -scale * (x - 2) ** 2 - (kind != "b") - abs(layers - 3)


def reporting(rate):
    for epoch in range(1, 4):
        wherry.report(epoch=epoch, loss=rate / epoch)


def lasting(quality):
    for epoch in range(3 if quality == "good" else 6000):
        wherry.report(epoch=epoch, accuracy=int(quality == "good"))
        time.sleep(0.1)


def failing(x):
    raise ValueError("no such thing")


def sleeping(x):
    time.sleep(1000)
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    (tmp_path / "searched.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("searched")
    del sys.modules["searched"]


def test_a_function_is_tuned(shared_platform, code):
    search = wherry.tune(
        code.parabola,
        {"x": (0.0, 4.0), "kind": ["a", "b"], "layers": (1, 4)},
        objective="maximize score",
        max_trials=6,
        parallel=2,
        algorithm="random",
        algorithm_settings={"random_state": 3},
        kwargs={"scale": 2.0},
        connection=shared_platform.connection,
    )
    best = search.follow(timeout=240)
    trials = search.trials()
    assert [each.number for each in trials] == list(range(6))
    assert {each.state for each in trials} == {"Succeeded"}
    for each in trials:
        assert isinstance(each.parameters["layers"], int)
        expected = code.parabola(**each.parameters, scale=2.0)
        assert each.metrics["score"] == pytest.approx(expected)
    assert best.metrics["score"] == max(each.metrics["score"] for each in trials)
    assert search.progress.ended
    again = wherry.find_search(search.name, connection=shared_platform.connection)
    assert again.best == best
    search.resume(8)
    assert search.wait(240).done == 8
    search.delete()


def test_reported_metrics_are_taken(shared_platform, code):
    search = wherry.tune(
        code.reporting,
        {"rate": wherry.log_uniform(0.1, 1)},
        objective="minimize loss",
        max_trials=1,
        connection=shared_platform.connection,
    )
    best = search.result(240)
    assert best.metrics["loss"] == pytest.approx(best.parameters["rate"] / 3)


@pytest.mark.parametrize("stopping", ["medianstop", "asha"])
def test_trials_that_come_to_nothing_are_stopped(shared_platform, code, stopping):
    settings = {"medianstop": {"min_trials_required": 1, "start_step": 2}}
    search = wherry.tune(
        code.lasting,
        {"quality": ["good", "bad", "worse"]},
        objective="maximize accuracy",
        algorithm="grid",
        max_trials=3,
        parallel=1,
        early_stopping=stopping,
        early_stopping_settings=settings.get(stopping, {}),
        connection=shared_platform.connection,
    )
    best = search.result(240)
    assert best.parameters == {"quality": "good"}
    states = {each.parameters["quality"]: each.state for each in search.trials()}
    assert states == {"good": "Succeeded", "bad": "EarlyStopped", "worse": "EarlyStopped"}


def test_a_search_without_values_says_why(shared_platform, code):
    search = wherry.tune(
        code.failing,
        {"x": [1, 2]},
        max_trials=1,
        max_failed=1,
        connection=shared_platform.connection,
    )
    with pytest.raises(wherry.FailedSearchError, match=search.name):
        search.result(240)
    assert "no such thing" in search.trials()[0].message


def test_a_search_is_stopped(shared_platform, code):
    search = wherry.tune(
        code.sleeping, {"x": (0.0, 1.0)}, max_trials=50, connection=shared_platform.connection
    )
    eventually(lambda: search.progress.counts.get("running"))
    search.stop()
    assert search.wait(240).ended
    assert len(search.trials()) < 50


def test_a_search_that_is_not_there(shared_platform):
    with pytest.raises(TuningError, match="there is no search 'nobody' in namespace 'default'"):
        wherry.find_search("nobody", connection=shared_platform.connection)


def test_spaces():
    dimensions = space.read(
        {
            "lr": wherry.log_uniform(1e-4, 0.1),
            "x": (0.0, 1.0),
            "n": (1, 4),
            "step": range(10, 31, 10),
            "batch": [16, 32],
            "name": ["a", "b"],
            "any": [None, {"a": 1}],
            "deep": wherry.integers(1, 3).when("name", "b"),
        }
    )
    made = {each["name"]: each for each in space.parameters(dimensions)}
    assert made["lr"]["feasibleSpace"] == {
        "min": "0.0001",
        "max": "0.1",
        "distribution": "logUniform",
    }
    assert [each["parameterType"] for each in made.values()] == [
        "double",
        "double",
        "int",
        "int",
        "discrete",
        "categorical",
        "categorical",
        "int",
    ]
    assert made["step"]["feasibleSpace"]["step"] == "10"
    assert made["any"]["feasibleSpace"]["list"] == ["null", '{"a": 1}']
    assert made["deep"]["parent"] == {"name": "name", "values": ["b"]}
    assert space.value(dimensions["any"], '{"a": 1}') == {"a": 1}
    assert space.value(dimensions["batch"], "16") == 16


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "one parameter at least"),
        ({"a": 1}, r"space\['a'\]: 1: want \(low, high\)"),
        ({"a": []}, "one value at least"),
        ({"a$": (0, 1)}, "a name without"),
    ],
)
def test_spaces_that_cannot_be(given, message):
    with pytest.raises(TuningError, match=message):
        space.read(given)


def test_ranges_that_cannot_be():
    with pytest.raises(TuningError, match="must not be greater"):
        wherry.uniform(1, 0)
    with pytest.raises(TuningError, match="greater than 0"):
        wherry.log_uniform(0, 1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("accuracy", ("maximize", "accuracy")),
        ("min loss", ("minimize", "loss")),
        ("maximize a/b", ("maximize", "a/b")),
    ],
)
def test_objectives(text, found):
    assert setting.objective(text) == found


@pytest.mark.parametrize("text", ["", "max", "best accuracy", "max a b"])
def test_objectives_that_cannot_be(text):
    with pytest.raises(TuningError, match="objective"):
        setting.objective(text)


def test_settings_that_cannot_be():
    with pytest.raises(TypeError, match="no setting 'trials'; there are algorithm"):
        setting.check({"trials": 1})
    with pytest.raises(TuningError, match="parallel: 0: want a whole number, 1 at least"):
        setting.check({"parallel": 0})
    with pytest.raises(TuningError, match="timeout: '1h': want seconds"):
        setting.check({"timeout": "1h"})


def test_importance_finds_what_counts():
    trials = [
        _trial(number, {"x": number % 7, "y": number % 3, "k": "ab"[number % 2]}, float(number % 7))
        for number in range(42)
    ]
    shares = plots.importance(trials, "m")
    assert next(iter(shares)) == "x"
    assert shares["x"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    with pytest.raises(TuningError, match="want 4 trials"):
        plots.importance(trials[:3], "m")


def test_best_so_far():
    experiment = {"spec": {"objective": {"type": "minimize", "objectiveMetricName": "m"}}}
    trials = [_trial(number, {}, value) for number, value in enumerate([3.0, 4.0, 2.0, 2.0])]
    assert results.best_so_far(experiment, trials) == [(0, 3.0), (2, 2.0)]


def _trial(number, parameters, value):
    return Trial(f"t{number}", number, "Succeeded", parameters, {"m": value})


def test_the_command_line(shared_platform, tmp_path, monkeypatch, capsys):
    (tmp_path / "quadratic.py").write_text(
        "import sys\n"
        "given = dict(word.lstrip('-').split('=') for word in sys.argv[1:])\n"
        "print('loss=%g' % ((float(given['lr']) - 0.1) ** 2 + float(given['offset'])))\n"
    )
    monkeypatch.chdir(tmp_path)
    place = ["--kubeconfig", str(shared_platform.kubeconfig)]

    def wherry_tune(action, *words):
        code = main(["tune", action, *place, *words])
        return code, capsys.readouterr()

    words = ["--objective", "minimize loss", "--param", "lr=0.001..1:log", "--max-trials", "3"]
    code, said = wherry_tune(
        "run", "quadratic.py", *words, "--name", "quadratic", "--", "--offset=2"
    )
    assert code == 0, said.err
    assert "best trial quadratic-" in said.out
    code, said = wherry_tune("best", "quadratic", "-o", "json")
    best = json.loads(said.out)
    assert best["metrics.loss"] == pytest.approx((best["parameters"]["lr"] - 0.1) ** 2 + 2, 1e-4)
    code, said = wherry_tune("list")
    assert re.search(r"quadratic +tpe +Succeeded +3/3 +loss=2\.?\d* +\d+[smh]", said.out), said.out
    code, said = wherry_tune("trials", "quadratic")
    assert len(said.out.splitlines()) == 4
    code, said = wherry_tune("resume", "quadratic", "--max-trials", "2")
    assert code != 0
    assert "maxTrialCount" in said.err
    code, said = wherry_tune("stop", "quadratic")
    assert code == 0
    code, said = wherry_tune("delete", "quadratic")
    assert code == 0
    code, said = wherry_tune("watch", "quadratic")
    assert "there is no search 'quadratic'" in said.err


@pytest.mark.parametrize("text", ["a..b", "1..2:exp", "0..1:step=x"])
def test_spaces_of_the_command_line_that_cannot_be(text, capsys):
    assert main(["tune", "run", "x.py", "--param", f"a={text}"]) == 2
    assert "want LOW..HIGH" in capsys.readouterr().err


def test_figures_that_cannot_be_drawn():
    experiment = {"spec": {"objective": {"type": "minimize", "objectiveMetricName": "m"}}}
    trials = [_trial(number, {"x": number}, float(number)) for number in range(5)]
    with pytest.raises(TuningError, match="plot 'pie': there are history, parallel"):
        plots.draw("pie", experiment, trials)
    with pytest.raises(TuningError, match="no trial has a value of m yet"):
        plots.draw("history", experiment, [])
    if importlib.util.find_spec("matplotlib") is None:
        with pytest.raises(ImportError, match="pip install matplotlib"):
            plots.draw("history", experiment, trials)


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_one_line_with_the_best_so_far(monkeypatch):
    def status(**counts):
        metric = {"name": "loss", "min": "0.5", "max": "2", "latest": "1"}
        status = {**counts, "currentOptimalTrial": {"observation": {"metrics": [metric]}}}
        spec = {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "maxTrialCount": 4,
        }
        return results.progress({"spec": spec, "status": status})

    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    line = ProgressLine()
    line.show(str(status(trialsRunning=2, trialsSucceeded=1)))
    line.show(str(status(trialsSucceeded=4)), last=True)
    line.close()
    first, second = terminal.getvalue().removesuffix("\n").split("\r")[1:]
    assert first == "1/4 |#####...............| 2 running 1 succeeded best loss=0.5"
    assert second.rstrip() == "4/4 |####################| 4 succeeded best loss=0.5"
    assert len(second) == len(first), "nothing is left of the longer line"
