"""What single algorithms do that others do not: rungs, members, rounds, fronts, restarts."""

import dataclasses
import json
import math
import statistics

import pytest

from wherry.testing.contracts import played_trial
from wherry.tuning import algorithms, brackets, fronts
from wherry.tuning.algorithm import (
    Graph,
    Objective,
    Operation,
    Parameter,
    PastTrial,
    Question,
    Search,
)

X = Parameter(name="x", type="double", min="0", max="1")
Y = Parameter(name="y", type="double", min="0", max="1")
EPOCHS = Parameter(name="epochs", type="int", min="1", max="9")
LOSS = (Objective(metric="loss"),)


def search(*parameters: Parameter, **changes) -> Search:
    return Search(**({"name": "s", "parameters": parameters, "objectives": LOSS} | changes))


def scored(trial: PastTrial, loss: float) -> PastTrial:
    return dataclasses.replace(trial, state="Succeeded", metrics={"loss": loss})


def asked(name: str, given: Search, trials: list[PastTrial], wanted: int = 1) -> list[PastTrial]:
    answer = algorithms.get(name).propose(Question(search=given, trials=trials, wanted=wanted))
    return [played_trial(one, len(trials) + at) for at, one in enumerate(answer.proposals)]


def near(trial: PastTrial) -> float:
    return (float(trial.assignments["x"]) - 0.3) ** 2


# Hyperband and its kin


HYPERBAND = {"r_l": "9", "resource_name": "epochs"}


def test_hyperband_halves_bracket_after_bracket():
    given = search(X, EPOCHS, settings=HYPERBAND)
    trials: list[PastTrial] = []
    while new := asked("hyperband", given, trials, 4):
        trials += [scored(one, near(one)) for one in new]
    standing = brackets.Standing(trials)
    sizes = [
        [len(standing.at(0, bracket, rung)) for rung in range(bracket + 1)] for bracket in (2, 1, 0)
    ]
    assert sizes == [[9, 3, 1], [5, 1], [3]]
    for bracket in (2, 1, 0):
        for rung in range(bracket + 1):
            told = {one.assignments["epochs"] for one in standing.at(0, bracket, rung)}
            assert told == {str(9 // 3 ** (bracket - rung))}
    best = min(standing.at(0, 2, 0), key=near)
    assert standing.at(0, 2, 2)[0].assignments["x"] == best.assignments["x"]
    ended = algorithms.get("hyperband").propose(Question(search=given, trials=trials))
    assert ended.ended


def test_hyperband_begins_the_next_bracket_while_it_waits():
    given = search(X, EPOCHS, settings=HYPERBAND, max_trials=100)
    trials = asked("hyperband", given, [], 9)
    assert {one.labels[brackets.BRACKET] for one in trials} == {"2"}
    (next_one,) = asked("hyperband", given, trials)
    assert next_one.labels[brackets.BRACKET] == "1"
    done = [scored(one, near(one)) for one in trials]
    (raised,) = asked("hyperband", given, done)
    assert raised.labels[brackets.PROMOTED] == min(done, key=near).name
    proposal = algorithms.get("hyperband").propose(Question(search=given, trials=done)).proposals[0]
    assert proposal.resumes == min(done, key=near).name


def test_failed_trials_do_not_hold_up_a_rung():
    given = search(X, EPOCHS, settings=HYPERBAND, max_trials=100)
    trials = asked("hyperband", given, [], 9)
    done = [
        scored(one, near(one)) if at < 2 else dataclasses.replace(one, state="Failed")
        for at, one in enumerate(trials)
    ]
    more = asked("hyperband", given, done, 4)
    assert [one.labels[brackets.RUNG] for one in more] == ["1", "1", "0", "0"]


def test_asha_raises_without_waiting():
    given = search(X, EPOCHS, settings=HYPERBAND, max_trials=100)
    trials = asked("asha", given, [], 4)
    three = [scored(one, near(one)) for one in trials[:3]] + trials[3:]
    up, new = asked("asha", given, three, 2)
    assert up.labels[brackets.PROMOTED] == min(three[:3], key=near).name
    assert up.assignments["epochs"] == "3"
    assert (new.labels[brackets.RUNG], new.assignments["epochs"]) == ("0", "1")


@pytest.mark.parametrize("name", ["hyperband", "asha", "bohb"])
def test_halving_ends_when_a_finite_space_has_been_tried(name):
    side = Parameter(name="x", type="int", min="1", max="7")
    given = search(side, EPOCHS, settings=HYPERBAND, max_trials=1000)
    trials: list[PastTrial] = []
    while new := asked(name, given, trials, 4):
        trials += [scored(one, float(one.assignments["x"])) for one in new]
    points = [tuple(sorted(one.assignments.items())) for one in trials]
    assert {one.assignments["x"] for one in trials} == set("1234567")
    assert len(set(points)) == len(points)
    assert algorithms.get(name).propose(Question(search=given, trials=trials)).ended


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"resource_name": "epochs"}, "r_l"),
        ({"r_l": "9"}, "resource_name"),
        ({"r_l": "-1", "resource_name": "epochs"}, "r_l"),
        ({"r_l": "9", "resource_name": "steps"}, "resource_name"),
        ({"r_l": "9", "resource_name": "c"}, "resource_name"),
        ({"r_l": "9", "resource_name": "epochs", "eta": "1"}, "eta"),
    ],
)
def test_a_resource_has_to_be_a_number_among_the_parameters(settings, field):
    category = Parameter(name="c", type="categorical", values=("a",))
    causes = algorithms.get("hyperband").validate(search(X, EPOCHS, category, settings=settings))
    assert [cause.field for cause in causes] == [f"spec.algorithm.algorithmSettings[{field}]"]


# Populations


PBT = {"suggestion_trial_dir": "/ckpt", "n_population": "5", "truncation_threshold": "0.2"}
STEPPED = Parameter(name="x", type="double", min="0", max="1", step="0.01")
GENERATION = "pbt.suggestion.katib.kubeflow.org/generation"
PARENT = "pbt.suggestion.katib.kubeflow.org/parent"


def test_members_go_on_from_their_own_or_from_a_better_one_s_checkpoint():
    given = search(STEPPED, settings=PBT)
    first = asked("pbt", given, [], 9)
    assert [one.labels[GENERATION] for one in first] == ["0"] * 5
    assert asked("pbt", given, first) == []
    trials = [scored(one, float(at)) for at, one in enumerate(first)]
    second = asked("pbt", given, trials, 5)
    assert [one.labels[GENERATION] for one in second] == ["1"] * 5
    for at, one in enumerate(second[:4]):
        assert one.labels[PARENT] == first[at].name
        assert one.assignments == first[at].assignments
    taken_over = second[4]
    assert taken_over.labels[PARENT] == first[0].name
    ratio = float(taken_over.assignments["x"]) / float(first[0].assignments["x"])
    assert ratio == pytest.approx(0.8, abs=0.05) or ratio == pytest.approx(1.2, abs=0.05)


def test_a_member_that_failed_goes_on_from_a_better_one():
    given = search(STEPPED, settings=PBT)
    first = asked("pbt", given, [], 5)
    trials = [scored(one, float(at)) for at, one in enumerate(first)]
    lost = dataclasses.replace(trials[2], state="Failed", metrics={})
    again = asked("pbt", given, [*trials[:2], lost, *trials[3:]], 5)
    assert {one.labels[PARENT] for one in again if one.labels["wherry.dev/member"] == "2"} == {
        first[0].name
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n_population": "4"}, "n_population"),
        ({"truncation_threshold": "1.5"}, "truncation_threshold"),
        ({"resample_probability": "2"}, "resample_probability"),
    ],
)
def test_settings_of_populations_have_bounds(changes, field):
    causes = algorithms.get("pbt").validate(search(STEPPED, settings=PBT | changes))
    assert [cause.field for cause in causes] == [f"spec.algorithm.algorithmSettings[{field}]"]
    right = search(STEPPED, settings=PBT | {"resample_probability": "0.25"})
    assert algorithms.get("pbt").validate(right) == []


def test_a_front_is_what_nothing_beats():
    losses = [(1, 5), (2, 2), (5, 1), (3, 3), (2, 2), (6, 6)]
    assert fronts.front(losses) == [0, 1, 2, 4]
    assert set(fronts.ranked(losses, 4)) == {0, 1, 2, 4}
    assert fronts.ranked(losses, 6)[-1] == 5


def test_a_front_may_have_losses_without_bounds():
    losses = [(2.0, math.inf), (1.0, math.inf), (math.inf, math.inf)]
    assert fronts.front(losses) == [1]
    assert fronts.ranked(losses, 3) == [1, 0, 2]


def test_nsga2_finds_the_front_between_two_objectives():
    two = (Objective(metric="a"), Objective(metric="b", type="maximize"))
    given = search(X, Y, objectives=two, settings={"population_size": "12"}, max_trials=240)
    trials: list[PastTrial] = []
    while len(trials) < 240:
        for one in asked("nsga2", given, trials, 4):
            x, y = (float(one.assignments[name]) for name in "xy")
            metrics = {"a": x + y, "b": -((1 - x) ** 2) - y}
            trials.append(
                PastTrial(
                    name=one.name,
                    assignments=one.assignments,
                    state="Succeeded",
                    metrics=metrics,
                    index=len(trials),
                )
            )
    # On the front y is 0, whatever x is.
    late = statistics.median(float(one.assignments["y"]) for one in trials[-60:])
    assert late < 0.1


# Models


def bowl(one: PastTrial) -> float:
    x, y = (float(one.assignments[name]) for name in "xy")
    return (x - 0.3) ** 2 + (y - 0.7) ** 2


@pytest.mark.parametrize(
    ("name", "settings", "reaches"),
    [
        ("tpe", {}, 1e-2),
        ("multivariate-tpe", {}, 1e-2),
        ("bayesianoptimization", {}, 1e-4),
        ("bayesianoptimization", {"base_estimator": "GBRT"}, 2e-2),
        ("cmaes", {"restart_strategy": "ipop"}, 1e-2),
    ],
)
def test_it_finds_the_bottom_of_a_bowl(name, settings, reaches):
    given = search(X, Y, settings=settings, seed=4)
    trials: list[PastTrial] = []
    while len(trials) < 40:
        trials += [scored(one, bowl(one)) for one in asked(name, given, trials)]
    assert min(map(bowl, trials)) < reaches


def test_trials_under_way_are_not_proposed_again():
    given = search(X, Y, seed=4)
    trials = [scored(one, bowl(one)) for one in asked("sobol", given, [], 20)]
    for name in ("tpe", "bayesianoptimization"):
        new = asked(name, given, trials, 4)
        points = [tuple(float(one.assignments[each]) for each in "xy") for one in new]
        distances = [math.dist(a, b) for at, a in enumerate(points) for b in points[:at]]
        assert min(distances) > 1e-3


def test_cmaes_wants_two_numbers():
    causes = algorithms.get("cmaes").validate(search(X))
    assert [cause.field for cause in causes] == ["spec.parameters"]


def test_cmaes_says_the_same_while_a_generation_is_under_way():
    given = search(X, Y)
    trials = asked("cmaes", given, [], 8)
    assert {one.labels["wherry.dev/generation"] for one in trials} == {"0"}
    done = [scored(one, bowl(one)) for one in trials]
    assert asked("cmaes", given, done)[0].labels == {"wherry.dev/generation": "1"}
    assert asked("cmaes", given, [*done[:5], *trials[5:]])[0].labels == trials[0].labels


def test_a_grid_with_too_small_a_budget_is_spread_and_one_too_large_is_refused():
    parameters = [Parameter(name=name, type="int", min="1", max="10") for name in "ab"]
    whole = asked("grid", search(*parameters), [], 3)
    assert [tuple(one.assignments.values()) for one in whole] == [
        ("1", "1"),
        ("1", "2"),
        ("1", "3"),
    ]
    part = asked("grid", search(*parameters, max_trials=10), [], 10)
    assert len({one.assignments["a"] for one in part}) > 3
    causes = algorithms.get("grid").validate(search(*parameters, max_trials=101))
    assert "101 is more than the 100 points" in causes[0].message
    endless = algorithms.get("grid").validate(search(X))
    assert endless[0].field == "spec.parameters[0].feasibleSpace.step"


# Architectures


def graph() -> Graph:
    size = Parameter(name="filter_size", type="categorical", values=("3", "5"))
    filters = Parameter(name="num_filter", type="int", min="32", max="64", step="32")
    return Graph(
        layers=4,
        input_sizes=(8, 8, 1),
        output_sizes=(10,),
        operations=(
            Operation(type="convolution", parameters=(size, filters)),
            Operation(type="reduction", parameters=(size,)),
        ),
    )


def read(text: str):
    return json.loads(text.replace("'", '"'))


def test_enas_writes_architectures_as_katib_does():
    given = search(graph=graph(), objectives=(Objective(metric="acc", type="maximize"),))
    (one,) = asked("enas", given, [])
    layers, network = (read(one.assignments[name]) for name in ("architecture", "nn_config"))
    assert [len(layer) for layer in layers] == [1, 2, 3, 4]
    assert (network["num_layers"], network["input_sizes"]) == (4, [8, 8, 1])
    assert set(network["embedding"]) == {str(layer[0]) for layer in layers}
    for number, told in network["embedding"].items():
        assert told["opt_id"] == int(number) < 6
        assert told["opt_type"] in {"convolution", "reduction"}
        assert told["opt_params"]["filter_size"] in {"3", "5"}


def test_enas_learns_which_operations_are_good():
    settings = {"controller_hidden_size": "16", "controller_train_steps": "20"}
    given = search(
        graph=graph(),
        objectives=(Objective(metric="acc", type="maximize"),),
        settings=settings,
        parallel=8,
    )
    trials: list[PastTrial] = []
    worth = []
    for _ in range(15):
        for one in asked("enas", given, trials, 8):
            layers = read(one.assignments["architecture"])
            worth.append(sum(layer[0] == 2 for layer in layers) / 4)
            trials.append(
                PastTrial(
                    name=one.name,
                    assignments=one.assignments,
                    state="Succeeded",
                    metrics={"acc": worth[-1]},
                    index=len(trials),
                )
            )
    assert statistics.fmean(worth[-24:]) > statistics.fmean(worth[:24]) + 0.2
    assert len({trial.assignments["architecture"] for trial in trials}) == len(trials)


def test_enas_goes_on_when_all_architectures_are_known():
    small = Graph(
        layers=1,
        input_sizes=(8, 8, 1),
        output_sizes=(10,),
        operations=graph().operations[1:],
    )
    given = search(graph=small, objectives=(Objective(metric="acc", type="maximize"),))
    found = [one.assignments["architecture"] for one in asked("enas", given, [], 5)]
    assert len(set(found[:2])) == 2
    assert len(found) == 5


def test_darts_tells_its_one_trial_what_to_search():
    given = search(graph=graph(), settings={"num_epochs": "2", "batch_size": "None"})
    (one,) = asked("darts", given, [])
    assert read(one.assignments["search-space"]) == [
        "convolution_3x3",
        "convolution_5x5",
        "reduction_3x3",
        "reduction_5x5",
    ]
    settings = json.loads(one.assignments["algorithm-settings"].replace("'", '"'))
    assert (settings["num_epochs"], settings["batch_size"], settings["w_lr"]) == ("2", None, 0.025)
    assert one.assignments["num-layers"] == "4"
    assert algorithms.get("darts").propose(Question(search=given, trials=[one])).ended


def test_a_graph_needs_sizes_and_operations_with_steps():
    open_end = Parameter(name="rate", type="double", min="0", max="1")
    wrong = Graph(
        layers=0,
        input_sizes=(),
        output_sizes=(10,),
        operations=(Operation(type="", parameters=(open_end,)), Operation(type="x", parameters=())),
    )
    fields = [cause.field for cause in algorithms.get("enas").validate(search(graph=wrong))]
    assert fields == [
        "spec.nasConfig.graphConfig.numLayers",
        "spec.nasConfig.graphConfig.inputSizes",
        "spec.nasConfig.operations[0].operationType",
        "spec.nasConfig.operations[0].parameters[0].feasibleSpace.step",
        "spec.nasConfig.operations[1].parameters",
    ]
    missing = algorithms.get("darts").validate(search())
    assert [cause.field for cause in missing] == ["spec.nasConfig"]
