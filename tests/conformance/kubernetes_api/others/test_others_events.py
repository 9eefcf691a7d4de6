"""Events, in the core group and in their own."""

import functools

import pytest

from wherry.objects import kinds
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-instrumentation")

TIME = "2017-09-19T13:49:16.000000Z"


def _old(name, namespace, **labels):
    about = {"namespace": namespace, "kind": "Pod", "name": "p"}
    at = {"name": name, "labels": labels}
    return {"metadata": at, "involvedObject": about, "message": "was created", "type": "Normal"}


def _new(name, namespace, **labels):
    about = {"namespace": namespace, "kind": "Pod", "name": "p"}
    return {
        "metadata": {"name": name, "labels": labels},
        "regarding": about,
        "eventTime": TIME,
        "note": "test",
        "reason": "Test",
        "action": "Do",
        "type": "Normal",
        "reportingController": "test-controller",
        "reportingInstance": "test-node",
    }


@case(name="Events should manage the lifecycle of an event")
def test_an_event_of_the_core_group(api, namespace, unique):
    api.create(kinds.EVENTS, _old("e", namespace, case=unique), namespace)
    (found,) = api.items(kinds.EVENTS, labelSelector=f"case={unique}")
    assert found["message"] == "was created"
    api.patch(kinds.EVENTS, "e", {"message": "was patched"}, namespace)
    assert api.get(kinds.EVENTS, "e", namespace)["message"] == "was patched"
    series = {"count": 100, "lastObservedTime": TIME}

    def edit(event):
        event["series"] = series

    assert api.change(kinds.EVENTS, "e", edit, namespace)["series"] == series
    api.delete(kinds.EVENTS, "e", namespace)
    assert api.items(kinds.EVENTS, labelSelector=f"case={unique}") == []


@case(name="Events API should ensure that an event can be fetched, patched, deleted, and listed")
def test_an_event_of_its_own_group(api, namespace, unique):
    resource = kinds.EVENTS_K8S_IO
    api.create(resource, _new("e", namespace, case=unique), namespace)
    assert api.names(resource, labelSelector=f"case={unique}") == ["e"]
    assert api.names(resource, namespace, labelSelector=f"case={unique}") == ["e"]
    read = api.get(resource, "e", namespace)
    assert read.items() >= {**_new("e", namespace), "metadata": read["metadata"]}.items()
    series = {"count": 2, "lastObservedTime": TIME}
    patched = api.patch(resource, "e", {"series": series}, namespace)
    assert patched["series"] == series

    def edit(event):
        event["series"] = {"count": 100, "lastObservedTime": TIME}

    assert api.change(resource, "e", edit, namespace)["series"]["count"] == 100
    assert api.get(kinds.EVENTS, "e", namespace)["message"] == "test"
    api.delete(resource, "e", namespace)
    assert api.names(resource, namespace, labelSelector=f"case={unique}") == []


@pytest.mark.parametrize(
    ("resource", "make"),
    [
        pytest.param(
            kinds.EVENTS, _old, marks=case(name="Events should delete a collection of events")
        ),
        pytest.param(
            kinds.EVENTS_K8S_IO,
            _new,
            marks=case(name="Events API should delete a collection of events"),
        ),
    ],
    ids=["core", "own"],
)
def test_events_go_together(api, namespace, resource, make):
    for number in range(3):
        api.create(resource, make(f"e-{number}", namespace, set="one"), namespace)
    assert len(api.names(resource, namespace, labelSelector="set=one")) == 3
    api.delete_collection(resource, namespace, labelSelector="set=one")
    eventually(lambda: api.names(resource, namespace, labelSelector="set=one") == [])
