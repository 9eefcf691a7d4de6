"""Variables in texts: filled in, left as they stand, or missed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.workflows import variables

SCOPE = {
    "inputs.parameters.a": "5",
    "inputs.parameters.x-y": "v",
    "item": '{"k":"K"}',
    "item.k": "x-y",
    "steps.gone.outputs.result": None,
    "workflow.name": "w",
    "workflow.parameters": "[]",
    "workflow.parameters.p": "{{workflow.name}}",
    "workflow.labels.app.kubernetes.io/name": "L",
}


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("a {{inputs.parameters.a}} {{ workflow.name }}", "a 5 w"),
        ({"{{workflow.name}}": ["{{item.k}}", 1, None, True]}, {"w": ["x-y", 1, None, True]}),
        ("{{inputs.parameters.{{item.k}}}}", "v"),
        ("{{workflow.parameters.p}}", "{{workflow.name}}"),
        ("{{=asInt(inputs.parameters.a) * 2}}", "10"),
        ("{{= [1, 2.0, 'a'] }}", '[1,2,"a"]'),
        ("{{=toJson({'a': {'b': 1}})}}", '{"a":{"b":1}}'),
        ("{{=workflow.labels['app.kubernetes.io/name'] + item.k}}", "Lx-y"),
        ("{{=steps.gone.outputs.result ?? 'other'}}", "other"),
        ('{"a":{"b":{{inputs.parameters.a}}}}', '{"a":{"b":5}}'),
        ("{{.Names}} {{ if x }} {{unclosed", "{{.Names}} {{ if x }} {{unclosed"),
        ("{{item}}", '{"k":"K"}'),
        ("", ""),
    ],
)
def test_what_is_filled_in(value, filled):
    assert variables.fill(value, SCOPE, strict=True) == filled


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": ["{{inputs.parameters.zz}}"]}, "a[0]: there is no variable inputs.parameters.zz"),
        ("{{tasks.t.outputs.result}}", "tasks.t.outputs.result"),
        ("{{steps.gone.outputs.result}}", "an absent optional"),
        ("{{=steps.gone.outputs.result}}", "gives nothing"),
        ("{{=steps.gone.outputs.result + '-x'}}", "cannot be evaluated"),
        ("{{=inputs.parameters.zz}}", "inputs.parameters.zz is missing"),
        ("{{=nothing}}", "nothing is missing"),
        ("{{=1 +}}", "cannot be evaluated"),
    ],
)
def test_what_is_missed(value, said):
    with pytest.raises(UnresolvedError) as missed:
        variables.fill(value, SCOPE, strict=True)
    assert said in str(missed.value)


@pytest.mark.parametrize(
    "text",
    ["{{inputs.parameters.zz}}", "{{=lastRetry.exitCode}}", "{{=steps.q.x ?? 1}}", "{{=1 +}}"],
)
def test_what_is_not_there_yet_stays(text):
    assert variables.fill(text, SCOPE, strict=False) == text


def test_one_that_was_left_out_is_missed_in_any_case():
    with pytest.raises(UnresolvedError):
        variables.fill("{{steps.gone.outputs.result}}", SCOPE, strict=False)


def test_roots_say_what_has_to_be_there():
    text = "{{mine.a}} {{workflow.zz}}"
    assert variables.fill(text, {"mine.a": 1}, strict=True, roots=("mine.",)) == "1 {{workflow.zz}}"
    with pytest.raises(UnresolvedError):
        variables.fill(text, {}, strict=True, roots=("mine.",))


def test_tags():
    value = {"{{a}}": ["{{ b.c }} {{=x + 1}}", "{{d.{{e}}}}", "{{f"]}
    assert variables.tags(value) == {"a", "b.c", "=x + 1", "d.*", "e"}


def test_of_names_that_are_parts_of_others_the_longer_ones_are_parts_of_expressions():
    assert variables.nested({"a": "x", "a.b": 1, "a.b.c": 2, "d": {"e": 1}}) == {
        "a": {"b": {"c": 2}},
        "d": {"e": 1},
    }
    assert variables.fill("{{=workflow.parameters.p}}", SCOPE, strict=True) == "{{workflow.name}}"


@given(st.text(), st.text())
def test_texts_without_variables_stay_and_values_are_not_read_again(text, value):
    plain = text.replace("{{", "")
    assert variables.fill(plain, SCOPE, strict=True) == plain
    filled = variables.fill(f"{plain}|{{{{workflow.name}}}}", {"workflow.name": value}, strict=True)
    assert filled == f"{plain}|{value}"


@pytest.mark.timeout(200)
@pytest.mark.parametrize("part", ["{{=", "{{", "{{a", "{{=}", "{{=x}} "])
def test_long_texts_take_no_time(part):
    variables.tags(part * 20_000)
    variables.fill(part * 20_000, SCOPE, strict=False)
