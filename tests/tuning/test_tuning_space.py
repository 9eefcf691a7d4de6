"""Laws of the search space: whatever users write, points lie in it, and none is lost or doubled."""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.tuning import space_checks
from wherry.tuning.algorithm import Parameter
from wherry.tuning.dimension import BELL, LOGARITHMIC, Dimension
from wherry.tuning.space import Space, Tried

fractions = st.floats(0, 1, allow_nan=False)
distributions = st.sampled_from(["", "uniform", "logUniform", "normal", "logNormal"])


@st.composite
def ranges(draw, name="x"):
    distribution = draw(distributions)
    whole = draw(st.booleans())
    low = 1 if distribution in LOGARITHMIC else -1000
    if whole:
        first = draw(st.integers(low, 1000))
        last = draw(st.integers(first, first + 2000))
        step = draw(st.one_of(st.just(""), st.integers(1, 50).map(str)))
    else:
        small = 1e-6 if distribution in LOGARITHMIC else -1e6
        first, last = sorted(draw(st.floats(small, 1e6)) for _ in range(2))
        width = last - first
        steps = st.integers(1, 200).map(lambda count: repr(width / count))
        step = draw(st.one_of(st.just(""), steps)) if width > 1e-3 else ""
    return Parameter(
        name=name,
        type="int" if whole else "double",
        min=str(first),
        max=str(last),
        step=step,
        distribution=distribution,
    )


@st.composite
def lists(draw, name="x"):
    if draw(st.booleans()):
        numbers = draw(st.lists(st.integers(-50, 50), min_size=1, max_size=6))
        return Parameter(name=name, type="discrete", values=tuple(map(str, numbers)))
    words = draw(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=6))
    return Parameter(name=name, type="categorical", values=tuple(words))


parameters = st.one_of(ranges(), lists())


@given(parameters, fractions)
def test_every_draw_is_one_of_the_values(parameter, fraction):
    assert space_checks.check([parameter]) == []
    dimension = Dimension(parameter)
    for text in (dimension.quantile(fraction), dimension.value(fraction)):
        assert dimension.holds(text), text
        if parameter.min:
            assert float(parameter.min) <= float(text) <= float(parameter.max)


@given(parameters, fractions)
def test_a_value_comes_back_from_its_position(parameter, fraction):
    dimension = Dimension(parameter)
    text = dimension.quantile(fraction)
    position = dimension.position(text)
    assert 0 <= position <= 1
    again = dimension.value(position)
    if dimension.count is not None:
        assert again == text
    else:
        assert float(again) == pytest.approx(float(text), rel=1e-6, abs=1e-6)


@given(ranges(), fractions, fractions)
def test_quantiles_and_positions_keep_the_order(parameter, one, other):
    dimension = Dimension(parameter)
    low, high = sorted((one, other))
    assert float(dimension.quantile(low)) <= float(dimension.quantile(high))
    assert float(dimension.value(low)) <= float(dimension.value(high))


@given(st.one_of(ranges(), lists()))
def test_the_ends_are_reached(parameter):
    dimension = Dimension(parameter)
    if dimension.count is None:
        low, high = float(parameter.min), float(parameter.max)
        near = 1e-9 * (high - low)
        assert float(dimension.quantile(0)) == pytest.approx(low, rel=1e-9, abs=near)
        assert float(dimension.quantile(1)) == pytest.approx(high, rel=1e-9, abs=near)
        return
    assert dimension.quantile(0) == dimension.at(0)
    assert dimension.quantile(1) == dimension.at(dimension.count - 1)
    ranks = {dimension.rank(dimension.at(rank)) for rank in range(min(dimension.count, 50))}
    assert ranks == set(range(min(dimension.count, 50)))


@pytest.mark.parametrize("distribution", ["uniform", "logUniform", "normal", "logNormal"])
@pytest.mark.parametrize("step", ["", "0.5"])
def test_distributions_have_their_middle_and_their_width(distribution, step):
    dimension = Dimension(
        Parameter(
            name="x", type="double", min="1", max="1000", step=step, distribution=distribution
        )
    )
    rng = Random(1)
    drawn = sorted(float(dimension.quantile(rng.random())) for _ in range(4000))
    log = distribution in LOGARITHMIC
    scaled = sorted(math.log(value) if log else value for value in drawn)
    low, high = (0.0, math.log(1000)) if log else (1.0, 1000.0)
    assert scaled[2000] == pytest.approx((low + high) / 2, abs=(high - low) / 25)
    quartile = (scaled[3000] - scaled[1000]) / (high - low)
    # Quartiles of a normal distribution lie 0.674 of a sixth of the range from its middle.
    assert quartile == pytest.approx(0.2248 if distribution in BELL else 0.5, abs=0.03)


def test_steps_are_exact_numbers():
    dimension = Dimension(Parameter(name="x", type="double", min="0.1", max="0.7", step="0.1"))
    assert [dimension.at(rank) for rank in range(dimension.count or 0)] == [
        "0.1",
        "0.2",
        "0.3",
        "0.4",
        "0.5",
        "0.6",
        "0.7",
    ]


def conditional():
    return [
        Parameter(
            name="momentum",
            type="discrete",
            values=("0.5", "0.9"),
            parent="optimizer",
            parent_values=("sgd",),
        ),
        Parameter(name="optimizer", type="categorical", values=("adam", "sgd", "lamb")),
        Parameter(
            name="nesterov",
            type="categorical",
            values=("yes", "no"),
            parent="momentum",
            parent_values=("0.90",),
        ),
        Parameter(name="depth", type="int", min="1", max="3"),
    ]


def test_children_are_there_only_with_their_parent_s_values():
    space = Space(conditional())
    assert space.size == 3 * (1 + 1 + (1 + 2))
    points = [space.at(index) for index in range(space.size)]
    assert len({space.key(point) for point in points}) == space.size
    for point in points:
        assert space.holds(point)
        assert ("momentum" in point) == (point["optimizer"] == "sgd")
        assert ("nesterov" in point) == (point.get("momentum") == "0.9")
        assert space.decode(space.encode(point)) == point
    assert not space.holds({"optimizer": "adam", "depth": "1", "momentum": "0.5"})
    assert not space.holds({"optimizer": "sgd", "depth": "1"})


@settings(max_examples=30)
@given(st.lists(lists(), min_size=1, max_size=3), st.integers(0, 1 << 30))
def test_a_finite_space_is_walked_once(made, seed):
    given_ = [
        Parameter(name=f"p{index}", type=one.type, values=one.values)
        for index, one in enumerate(made)
    ]
    space = Space(given_)
    tried = Tried(space)
    rng = Random(seed)
    points = list(iter(lambda: tried.fresh(rng), None))
    assert len(points) == space.size
    assert len({tuple(sorted(point.items())) for point in points}) == space.size
    assert tried.all


def test_a_large_finite_space_that_is_drawn_unevenly_ends_too():
    narrow = Parameter(name="x", type="int", min="1", max="300", distribution="logNormal")
    space = Space([narrow])
    tried = Tried(space)
    points = list(iter(lambda: tried.fresh(Random(3)), None))
    assert len(points) == 300


WRONG = [
    ({"type": "double", "min": "1"}, "feasibleSpace.max"),
    ({"type": "double", "min": "x", "max": "2"}, "feasibleSpace.min"),
    ({"type": "double", "min": "3", "max": "2"}, "feasibleSpace.max"),
    ({"type": "int", "min": "1.5", "max": "2"}, "feasibleSpace.min"),
    ({"type": "int", "min": "1", "max": "inf"}, "feasibleSpace.max"),
    ({"type": "double", "min": "1", "max": "2", "step": "0"}, "feasibleSpace.step"),
    ({"type": "double", "min": "0", "max": "2", "distribution": "logUniform"}, "feasibleSpace.min"),
    ({"type": "double", "min": "1", "max": "2", "distribution": "beta"},
     "feasibleSpace.distribution"),
    ({"type": "double", "min": "1", "max": "2", "values": ("1",)}, "feasibleSpace.list"),
    ({"type": "discrete"}, "feasibleSpace.list"),
    ({"type": "discrete", "values": ("one",)}, "feasibleSpace.list[0]"),
    ({"type": "categorical", "values": ("a",), "min": "1"}, "feasibleSpace.min"),
    ({"type": "wrong"}, "parameterType"),
    ({"type": "int", "min": "1", "max": "2", "parent": "y", "parent_values": ("1",)}, "parent"),
    ({"type": "int", "min": "1", "max": "2", "parent": "x", "parent_values": ("1",)}, "parent"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "field"), WRONG)
def test_what_is_wrong_is_named(fields, field):
    causes = space_checks.check([Parameter(name="x", **fields)])
    assert [cause.field for cause in causes] == [f"spec.parameters[0].{field}"]


def test_names_are_there_once():
    twice = [Parameter(name="x", type="categorical", values=("a",))] * 2
    assert [cause.field for cause in space_checks.check(twice)] == ["spec.parameters[1].name"]


def test_points_of_a_space_are_in_the_order_of_its_parameters():
    space = Space(conditional())
    order = ["momentum", "optimizer", "nesterov", "depth"]
    rng = Random(2)
    drawn = [space.draw(rng.random) for _ in range(20)]
    for point in [*drawn, *(space.at(index) for index in range(18))]:
        assert list(point) == sorted(point, key=order.index)
