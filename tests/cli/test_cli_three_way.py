import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.cli import three_way
from wherry.objects import openapi, patches

DEPLOYMENT = openapi.schema_for("apps/v1", "Deployment")


def deployment(*containers: Any, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": list(containers)}}, **spec},
    }


def applied(before: Any, wanted: Any, present: Any) -> Any:
    change = three_way.patch(before, wanted, present, DEPLOYMENT.root)
    return patches.strategic_merge(present, change, DEPLOYMENT)


def container(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "python:3", **fields}


def test_defaults_of_the_server_stay() -> None:
    wanted = deployment(container("a"))
    present = deployment(container("a", imagePullPolicy="Always"), replicas=1)
    assert three_way.patch(wanted, wanted, present, DEPLOYMENT.root) == {}


def test_what_was_applied_and_is_wanted_no_more_goes() -> None:
    before = deployment(container("a", tty=True), container("b"), paused=True)
    present = deployment(
        container("a", tty=True, stdin=True), container("b"), container("theirs"), paused=True
    )
    after = applied(before, deployment(container("a")), present)
    assert after == deployment(container("a", stdin=True), container("theirs"))


def test_what_others_scaled_stays_unless_it_is_applied() -> None:
    before = deployment(container("a"))
    present = deployment(container("a"), replicas=7)
    assert applied(before, before, present)["spec"]["replicas"] == 7
    assert applied(before, deployment(container("a"), replicas=2), present)["spec"]["replicas"] == 2


def test_order_of_keyed_items_is_the_files() -> None:
    present = deployment(container("a"), container("b"))
    after = applied(present, deployment(container("b"), container("new"), container("a")), present)
    assert [each["name"] for each in after["spec"]["template"]["spec"]["containers"]] == [
        "b",
        "new",
        "a",
    ]


def test_ports_of_one_number_and_two_protocols_are_sent_whole() -> None:
    ports = [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]
    present = deployment(container("a", ports=ports[:1]))
    change = three_way.patch(
        present, deployment(container("a", ports=ports)), present, DEPLOYMENT.root
    )
    (changed,) = change["spec"]["template"]["spec"]["containers"]
    assert changed["ports"] == [{"$patch": "replace"}, *ports]


def test_strategy_drops_the_fields_of_the_other_type() -> None:
    present = deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}})
    after = applied({}, deployment(strategy={"type": "Recreate"}), present)
    assert after["spec"]["strategy"] == {"type": "Recreate"}


def test_null_removes() -> None:
    present = deployment(container("a"), replicas=3)
    assert "replicas" not in applied({}, deployment(container("a"), replicas=None), present)["spec"]


def test_finalizers_are_a_set() -> None:
    def with_finalizers(*names: str) -> dict[str, Any]:
        return {"metadata": {"name": "web", "finalizers": list(names)}}

    after = applied(
        with_finalizers("a", "b"), with_finalizers("a", "c"), with_finalizers("a", "b", "x")
    )
    assert sorted(after["metadata"]["finalizers"]) == ["a", "c", "x"]


def test_other_kinds_are_merged_as_json() -> None:
    before, wanted = {"spec": {"a": 1, "list": [1]}}, {"spec": {"list": [2]}}
    present = {"spec": {"a": 1, "list": [1, 5], "theirs": True}}
    change = three_way.patch(before, wanted, present, None)
    assert patches.merge_patch(present, change) == {"spec": {"list": [2], "theirs": True}}


def test_the_annotation_is_kubectls() -> None:
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"x": "<&>"}}
    noted = three_way.annotated(obj)
    text = noted["metadata"]["annotations"][three_way.LAST_APPLIED]
    assert text == (
        '{"apiVersion":"v1","data":{"x":"\\u003c\\u0026\\u003e"},"kind":"ConfigMap",'
        '"metadata":{"annotations":{},"name":"a"}}\n'
    )
    assert three_way.last_applied(noted) == json.loads(text)
    assert three_way.annotated(noted) == noted
    assert "annotations" not in obj["metadata"]


@pytest.mark.parametrize("note", ["", "{", "[]"])
def test_a_damaged_annotation_counts_as_none(note: str) -> None:
    assert (
        three_way.last_applied({"metadata": {"annotations": {three_way.LAST_APPLIED: note}}}) == {}
    )


_scalars = st.one_of(st.integers(0, 3), st.sampled_from(["a", "b"]))
_values = st.recursive(
    _scalars,
    lambda below: st.one_of(
        st.lists(below, max_size=3), st.dictionaries(st.sampled_from("xyz"), below, max_size=3)
    ),
    max_leaves=8,
)
_objects = st.dictionaries(st.sampled_from("xyz"), _values, max_size=3)


def _holds(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(key in found and _holds(value, found[key]) for key, value in wanted.items())
    return bool(wanted == found)


@given(_objects, _objects, _objects)
def test_after_a_merge_patch_all_that_is_wanted_is_there(
    before: Any, wanted: Any, present: Any
) -> None:
    untouched = copy.deepcopy((before, wanted, present))
    change = three_way.patch(before, wanted, present, None)
    after = patches.merge_patch(present, change)
    assert _holds(wanted, after)
    assert three_way.patch(wanted, wanted, after, None) == {}
    assert all(key in wanted or key not in before for key in after)
    assert (before, wanted, present) == untouched


_containers = st.lists(
    st.builds(container, st.sampled_from("abcd"), tty=st.booleans()),
    max_size=4,
    unique_by=lambda each: str(each["name"]),
)


@given(_containers, _containers, _containers)
def test_after_a_strategic_patch_all_that_is_wanted_is_there(
    before: Any, wanted: Any, present: Any
) -> None:
    after = applied(deployment(*before), deployment(*wanted), deployment(*present))
    found = after["spec"]["template"]["spec"]["containers"]
    by_name = {each["name"]: each for each in found}
    assert all(_holds(each, by_name[each["name"]]) for each in wanted)
    names = {each["name"] for each in wanted}
    theirs = {each["name"] for each in present} - {each["name"] for each in before}
    assert set(by_name) == names | theirs
    assert [each["name"] for each in found if each["name"] in names] == [
        each["name"] for each in wanted
    ]
    assert three_way.patch(deployment(*wanted), deployment(*wanted), after, DEPLOYMENT.root) == {}
