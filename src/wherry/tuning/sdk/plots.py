"""A search as figures of Matplotlib, which has to be installed by whoever wants them."""

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from wherry.objects.requests import Object
from wherry.tuning import kinds
from wherry.tuning.sdk import results
from wherry.tuning.sdk.errors import TuningError
from wherry.tuning.sdk.results import Trial

_SIZE: Final = (8.0, 4.5)
_MAX_SLICES: Final = 12
_MIN_TRIALS: Final = 4
_MARK: Final[Mapping[str, Any]] = {
    "textcoords": "offset points",
    "xytext": (4, 3),
    "fontsize": 8,
    "bbox": {"color": "white", "alpha": 0.7, "pad": 1, "linewidth": 0},
}


def draw(kind: str, experiment: Object, trials: Sequence[Trial]) -> Any:
    """Return a figure.

    Args:
        kind: ``history``, ``parallel``, ``importance``, ``slices`` or ``pareto``.
        experiment: The Experiment.
        trials: Its trials.

    Raises:
        ImportError: Matplotlib is not installed.
        TuningError: there is no such figure, or not enough to be drawn.
    """
    if kind not in _KINDS:
        raise TuningError(f"plot {kind!r}: there are {', '.join(_KINDS)}")
    _, metric = results.objective(experiment)
    done = [each for each in trials if _is_number(each.metrics.get(metric))]
    if not done:
        raise TuningError(f"plot {kind}: no trial has a value of {metric} yet")
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError("plots need Matplotlib: pip install matplotlib") from error
    figure = figures.Figure(figsize=_SIZE, layout="constrained")
    _KINDS[kind](figure, experiment, done)
    return figure


def importance(trials: Sequence[Trial], metric: str) -> dict[str, float]:
    """Return how much each parameter tells of a metric, the most important first; 1 in sum.

    Measured by the share of the metric's variance that lies between groups of like values: eight
    groups of neighbours for numbers, one a value for others.

    Raises:
        TuningError: there are fewer than four trials with a value.
    """
    done = [each for each in trials if _is_number(each.metrics.get(metric))]
    if len(done) < _MIN_TRIALS:
        raise TuningError(
            f"importance: want {_MIN_TRIALS} trials with a value of {metric} at least"
        )
    values = np.array([each.metrics[metric] for each in done])
    names = _names(done)
    shares = {name: _share([each.parameters.get(name) for each in done], values) for name in names}
    total = sum(shares.values()) or 1.0
    ordered = sorted(shares.items(), key=lambda pair: -pair[1])
    return {name: share / total for name, share in ordered}


def _share(settings: Sequence[Any], values: Any) -> float:
    groups = np.array(_groups(settings))
    whole = float(values.var())
    if whole == 0:
        return 0.0
    between = 0.0
    for group in set(groups.tolist()):
        inside = values[groups == group]
        between += len(inside) * float((inside.mean() - values.mean()) ** 2)
    share = between / len(values) / whole
    # With as many groups as values everything would be told by anything.
    by_chance = (len(set(groups.tolist())) - 1) / max(1, len(values) - 1)
    return max(0.0, share - by_chance)


def _groups(settings: Sequence[Any]) -> list[int]:
    if all(_is_number(each) for each in settings):
        ranks = np.argsort(np.argsort(np.array(settings, dtype=float), kind="stable"))
        return [int(rank * min(8, len(settings) // 2) // len(settings)) for rank in ranks]
    known = {text: number for number, text in enumerate(dict.fromkeys(map(str, settings)))}
    return [known[str(each)] for each in settings]


def _history(figure: Any, experiment: Object, done: Sequence[Trial]) -> None:
    axes, (_, metric) = figure.subplots(), results.objective(experiment)
    axes.scatter([each.number for each in done], [each.metrics[metric] for each in done], s=14)
    best = results.best_so_far(experiment, done)
    last = done[-1].number
    axes.step(
        [*(number for number, _ in best), last],
        [*(value for _, value in best), best[-1][1]],
        where="post",
        color="tab:red",
        label="best so far",
    )
    axes.set(xlabel="trial", ylabel=metric)
    axes.legend()


def _slices(figure: Any, experiment: Object, done: Sequence[Trial]) -> None:
    _, metric = results.objective(experiment)
    names = _names(done)[:_MAX_SLICES]
    grid = figure.subplots(
        math.ceil(len(names) / 4), min(4, len(names)), squeeze=False, sharey=True
    )
    for axes, name in zip(grid.flat, names, strict=False):
        there = [each for each in done if name in each.parameters]
        axes.scatter(
            [_shown(each.parameters[name]) for each in there],
            [each.metrics[metric] for each in there],
            s=12,
            c=[each.number for each in there],
        )
        axes.set(xlabel=name)
        if _by_magnitude(experiment, name):
            axes.set_xscale("log")
    for axes in [*grid.flat][len(names) :]:
        axes.remove()
    grid[0][0].set(ylabel=metric)


def _importance(figure: Any, experiment: Object, done: Sequence[Trial]) -> None:
    shares = importance(done, results.objective(experiment)[1])
    axes = figure.subplots()
    axes.barh([*shares][::-1], [*shares.values()][::-1])
    axes.set(xlabel="importance")


def _parallel(figure: Any, experiment: Object, done: Sequence[Trial]) -> None:
    kind, metric = results.objective(experiment)
    names = _names(done)
    columns = [
        _Column([each.parameters.get(name) for each in done], log=_by_magnitude(experiment, name))
        for name in names
    ]
    values = [each.metrics[metric] for each in done]
    columns.append(_Column(values, log=False))
    axes = figure.subplots()
    colours = importlib.import_module("matplotlib.cm").ScalarMappable(cmap="viridis")
    colours.set_clim(min(values), max(values))
    order = np.argsort(values)
    # The best are drawn last, over the others.
    for index in order[::-1] if kind == kinds.MINIMIZE else order:
        heights = [column.heights[index] for column in columns]
        there = [place for place, height in enumerate(heights) if not math.isnan(height)]
        shade = colours.to_rgba(values[index])
        axes.plot(there, [heights[place] for place in there], color=shade, alpha=0.7)
    for place, column in enumerate(columns):
        axes.axvline(place, color="0.8", zorder=0)
        for height, text in column.marks:
            axes.annotate(text, (place, height), **_MARK)
    axes.set_xticks(range(len(columns)), [*names, metric])
    axes.set_yticks([])
    axes.margins(y=0.1)
    figure.colorbar(colours, ax=axes, label=metric)


class _Column:
    """Values side by side on one axis.

    Attributes:
        heights: Where each lies between the smallest and the largest, from 0 to 1; NaN: nowhere.
        marks: What stands beside the axis, by height.
    """

    def __init__(self, values: Sequence[Any], *, log: bool) -> None:
        there = [each for each in values if each is not None]
        if all(_is_number(each) for each in there):
            low, high = min(there), max(there)
            ends = {low: f"{low:.3g}", high: f"{high:.3g}"}
            scaled = [each if each is None or not log else math.log10(each) for each in values]
        else:
            kept = sorted(set(map(str, there)))
            scaled = [None if each is None else kept.index(str(each)) for each in values]
            ends = dict(enumerate(kept))
            low, high, log = 0, len(kept) - 1, False
        bottom, top = (math.log10(low), math.log10(high)) if log else (low, high)
        span = (top - bottom) or 1.0
        self.heights = [math.nan if each is None else (each - bottom) / span for each in scaled]
        places = ((math.log10(each) if log else each, text) for each, text in ends.items())
        self.marks = [((place - bottom) / span, text) for place, text in places]


def _pareto(figure: Any, experiment: Object, done: Sequence[Trial]) -> None:
    _, metric = results.objective(experiment)
    objective = experiment["spec"]["objective"]
    further = objective.get("additionalObjectives") or ()
    others = [each["objectiveMetricName"] for each in further]
    others += objective.get("additionalMetricNames") or ()
    if not others:
        raise TuningError("plot pareto: want a second metric; see `metrics`")
    known = [each for each in done if _is_number(each.metrics.get(others[0]))]
    axes = figure.subplots()
    axes.scatter(
        [each.metrics[metric] for each in known], [each.metrics[others[0]] for each in known], s=14
    )
    front = {
        each.get("trialName") or each.get("bestTrialName")
        for each in (experiment.get("status") or {}).get("optimalTrials") or ()
    }
    best = [each for each in known if each.name in front]
    axes.scatter(
        [each.metrics[metric] for each in best],
        [each.metrics[others[0]] for each in best],
        color="tab:red",
        label="none is better in both",
    )
    axes.set(xlabel=metric, ylabel=others[0])
    if best:
        axes.legend()


_KINDS: Final[Mapping[str, Callable[[Any, Object, Sequence[Trial]], None]]] = {
    "history": _history,
    "parallel": _parallel,
    "importance": _importance,
    "slices": _slices,
    "pareto": _pareto,
}


def _names(done: Sequence[Trial]) -> list[str]:
    """Return the parameters, those that only some trials have among them."""
    return list(dict.fromkeys(name for each in done for name in each.parameters))


def _by_magnitude(experiment: Object, name: str) -> bool:
    for each in experiment["spec"].get("parameters") or ():
        if each.get("name") == name:
            told = (each.get("feasibleSpace") or {}).get("distribution")
            return told in {"logUniform", "logNormal"}
    return False


def _shown(value: Any) -> Any:
    return value if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
