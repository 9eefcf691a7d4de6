"""Figures and tables of a search, where what draws them is installed."""

import pytest

import wherry
from wherry.tuning.sdk import plots
from wherry.tuning.sdk.results import Trial

figures = pytest.importorskip("matplotlib.figure", reason="Matplotlib is not installed")
pandas = pytest.importorskip("pandas", reason="pandas is not installed")

EXPERIMENT = {
    "spec": {
        "objective": {
            "type": "minimize",
            "objectiveMetricName": "loss",
            "additionalObjectives": [{"type": "minimize", "objectiveMetricName": "cost"}],
        },
        "parameters": [{"name": "rate", "feasibleSpace": {"distribution": "logUniform"}}],
    },
    "status": {"optimalTrials": [{"bestTrialName": "t3"}, {"bestTrialName": "t0"}]},
}
LOSSES = [3.0, 5.0, 2.0, 1.0, 4.0]


def _trials():
    made = []
    for number, loss in enumerate(LOSSES):
        parameters = {"rate": 10.0 ** -(number + 1), "kind": "ab"[number % 2]}
        if number > 1:
            parameters["deep"] = number
        metrics = {"loss": loss, "cost": 6 - loss}
        made.append(Trial(f"t{number}", number, "Succeeded", parameters, metrics))
    made.append(Trial("t5", 5, "Running", {"rate": 0.5, "kind": "a"}, {}))
    return made


def _drawn(kind, tmp_path):
    figure = plots.draw(kind, EXPERIMENT, _trials())
    assert isinstance(figure, figures.Figure)
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    return figure


def test_history_shows_every_value_and_the_best_so_far(tmp_path):
    (axes,) = _drawn("history", tmp_path).axes
    (points,) = axes.collections
    assert points.get_offsets().tolist() == [[n, each] for n, each in enumerate(LOSSES)]
    (line,) = axes.lines
    assert line.get_ydata().tolist() == [3, 2, 1, 1]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("trial", "loss")


def test_parallel_coordinates_have_a_line_a_trial_over_the_axes_that_it_has(tmp_path):
    axes, scale = _drawn("parallel", tmp_path).axes
    lines = [each for each in axes.lines if each.get_linestyle() == "-" and each.get_alpha()]
    assert len(lines) == len(LOSSES)
    assert sorted(len(each.get_xdata()) for each in lines) == [3, 3, 4, 4, 4]
    assert lines[-1].get_ydata()[-1] == 0, "the best is drawn last"
    assert [each.get_text() for each in axes.get_xticklabels()] == ["rate", "kind", "deep", "loss"]
    marks = {each.get_text() for each in axes.texts}
    assert marks == {"1e-05", "0.1", "a", "b", "2", "4", "1", "5"}
    assert scale.get_ylabel() == "loss"


def test_slices_have_a_panel_a_parameter(tmp_path):
    rate, kind, deep = _drawn("slices", tmp_path).axes
    assert (rate.get_xscale(), deep.get_xscale()) == ("log", "linear")
    assert [each.get_xlabel() for each in (rate, kind, deep)] == ["rate", "kind", "deep"]
    assert len(deep.collections[0].get_offsets()) == 3


def test_importance_has_a_bar_a_parameter(tmp_path):
    (axes,) = _drawn("importance", tmp_path).axes
    assert sum(each.get_width() for each in axes.patches) == pytest.approx(1)
    assert {each.get_text() for each in axes.get_yticklabels()} == {"rate", "kind", "deep"}


def test_pareto_shows_the_front(tmp_path):
    (axes,) = _drawn("pareto", tmp_path).axes
    everything, front = axes.collections
    assert len(everything.get_offsets()) == len(LOSSES)
    assert front.get_offsets().tolist() == [[3.0, 3.0], [1.0, 5.0]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("loss", "cost")


def test_a_search_as_a_table_and_a_figure(shared_platform, tmp_path, monkeypatch):
    (tmp_path / "drawn.py").write_text("def parabola(x, kind):\n    return (x - 2) ** 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    search = wherry.tune(
        "drawn:parabola",
        {"x": (0.0, 4.0), "kind": ["a", "b"]},
        objective="minimize score",
        max_trials=4,
        parallel=2,
        connection=shared_platform.connection,
    )
    best = search.result(240)
    table = search.frame()
    assert isinstance(table, pandas.DataFrame)
    assert list(table["number"]) == [0, 1, 2, 3]
    assert table["params.x"].dtype == float
    row = table.loc[table["metrics.score"].idxmin()]
    assert (row["trial"], row["params.x"], row["params.kind"]) == (
        best.name,
        *best.parameters.values(),
    )
    assert search.plot("slices").axes
    assert set(search.importance()) == {"x", "kind"}
