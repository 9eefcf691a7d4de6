"""Watches: what comes, in which order, and from where on."""

import functools
import itertools
import threading

import pytest

from wherry.objects import kinds
from wherry.testing import builders

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")


def _labelled(name: str, value: str):
    made = builders.config_map(name)
    made["metadata"]["labels"] = {"watch": value}
    return made


@case(name="Watchers should observe add, update, and delete watch notifications on configmaps")
def test_several_watchers_see_what_concerns_them(api, namespace):
    def watching(selector):
        return api.watch(kinds.CONFIG_MAPS, namespace, labelSelector=selector)

    with watching("watch=a") as a, watching("watch=b") as b, watching("watch in (a,b)") as both:
        for value, mine, other in (("a", a, b), ("b", b, a)):
            api.create(kinds.CONFIG_MAPS, _labelled(f"c-{value}", value), namespace)
            api.patch(kinds.CONFIG_MAPS, f"c-{value}", {"data": {"n": "1"}}, namespace)
            api.patch(kinds.CONFIG_MAPS, f"c-{value}", {"data": {"n": "2"}}, namespace)
            api.delete(kinds.CONFIG_MAPS, f"c-{value}", namespace)
            for watch in (mine, both):
                events = [watch.next() for _ in range(4)]
                assert [event["type"] for event in events] == [
                    "ADDED",
                    "MODIFIED",
                    "MODIFIED",
                    "DELETED",
                ]
                data = [event["object"].get("data") for event in events[1:]]
                assert data == [{"n": "1"}, {"n": "2"}, {"n": "2"}]
            assert other.is_quiet()


@case(name="Watchers should be able to start watching from a specific resource version")
def test_from_a_resource_version_on(api, namespace):
    api.create(kinds.CONFIG_MAPS, _labelled("c", "v"), namespace)
    first = api.patch(kinds.CONFIG_MAPS, "c", {"data": {"n": "1"}}, namespace)
    api.patch(kinds.CONFIG_MAPS, "c", {"data": {"n": "2"}}, namespace)
    api.delete(kinds.CONFIG_MAPS, "c", namespace)
    version = first["metadata"]["resourceVersion"]
    options = {"labelSelector": "watch=v", "resourceVersion": version}
    with api.watch(kinds.CONFIG_MAPS, namespace, **options) as watch:
        second, gone = watch.next(), watch.next()
    assert (second["type"], second["object"]["data"]) == ("MODIFIED", {"n": "2"})
    assert (gone["type"], gone["object"]["data"]) == ("DELETED", {"n": "2"})


@case(
    name="Watchers should be able to restart watching from the last resource version observed by the previous watch"
)
def test_going_on_where_a_watch_has_ended(api, namespace):
    with api.watch(kinds.CONFIG_MAPS, namespace, labelSelector="watch=v") as watch:
        api.create(kinds.CONFIG_MAPS, _labelled("c", "v"), namespace)
        api.patch(kinds.CONFIG_MAPS, "c", {"data": {"n": "1"}}, namespace)
        seen = [watch.next(), watch.next()]
    last = seen[-1]["object"]["metadata"]["resourceVersion"]
    api.patch(kinds.CONFIG_MAPS, "c", {"data": {"n": "2"}}, namespace)
    options = {"labelSelector": "watch=v", "resourceVersion": last}
    with api.watch(kinds.CONFIG_MAPS, namespace, **options) as watch:
        api.delete(kinds.CONFIG_MAPS, "c", namespace)
        assert [watch.next()["type"], watch.next()["type"]] == ["MODIFIED", "DELETED"]


@case(
    name="Watchers should observe an object deletion if it stops meeting the requirements of the selector"
)
def test_leaving_the_selector_is_a_deletion(api, namespace):
    with api.watch(kinds.CONFIG_MAPS, namespace, labelSelector="watch=in") as watch:
        api.create(kinds.CONFIG_MAPS, _labelled("c", "in"), namespace)
        assert watch.next()["type"] == "ADDED"
        api.patch(kinds.CONFIG_MAPS, "c", {"data": {"n": "1"}}, namespace)
        assert watch.next()["type"] == "MODIFIED"
        out = {"metadata": {"labels": {"watch": "out"}}}
        api.patch(kinds.CONFIG_MAPS, "c", out, namespace)
        assert watch.next()["type"] == "DELETED"
        api.patch(kinds.CONFIG_MAPS, "c", {"data": {"n": "2"}}, namespace)
        assert watch.is_quiet()
        back = {"metadata": {"labels": {"watch": "in"}}}
        api.patch(kinds.CONFIG_MAPS, "c", back, namespace)
        assert (watch.next()["type"], watch.is_quiet()) == ("ADDED", True)
        api.patch(kinds.CONFIG_MAPS, "c", {"data": {"n": "3"}}, namespace)
        assert watch.next()["object"]["data"] == {"n": "3"}
        api.delete(kinds.CONFIG_MAPS, "c", namespace)
        assert watch.next()["type"] == "DELETED"


@case(name="Watchers should receive events on concurrent watches in same order")
def test_all_watches_tell_the_same_story(api, namespace, cleanup):
    start = api.list(kinds.CONFIG_MAPS, namespace)["metadata"]["resourceVersion"]
    stop = threading.Event()

    def write() -> None:
        for number in itertools.count():
            name = f"c-{number % 5}"
            if stop.is_set():
                return
            if number < 5:
                api.create(kinds.CONFIG_MAPS, builders.config_map(name), namespace)
            else:
                change = {"data": {"n": str(number)}}
                api.patch(kinds.CONFIG_MAPS, name, change, namespace)

    writer = threading.Thread(target=write)
    writer.start()
    cleanup.callback(writer.join)
    cleanup.callback(stop.set)
    watches = []
    versions = []
    first = cleanup.enter_context(api.watch(kinds.CONFIG_MAPS, namespace, resourceVersion=start))
    for _ in range(20):
        version = first.next()["object"]["metadata"]["resourceVersion"]
        versions.append(version)
        later = api.watch(kinds.CONFIG_MAPS, namespace, resourceVersion=version)
        watches.append(cleanup.enter_context(later))
    more = [first.next()["object"]["metadata"]["resourceVersion"] for _ in range(10)]
    for index, watch in enumerate(watches):
        expected = versions[index + 1 :] + more
        seen = [watch.next()["object"]["metadata"]["resourceVersion"] for _ in expected]
        assert seen == expected
