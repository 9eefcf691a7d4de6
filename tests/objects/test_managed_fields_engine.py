"""The engine of field ownership, with schemas small enough to see what must come out."""

import datetime
from typing import Any

import pytest

from wherry.objects import managed_fields, openapi
from wherry.objects.managed_fields import (
    FieldConflictsError,
    Identity,
    TypingError,
    View,
    Write,
    comparison,
    elements,
    fields,
    merging,
    reading,
    removal,
)
from wherry.objects.schemas import Node, Schema

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
PLACES = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name", "protocol"],
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "protocol": {"type": "string", "default": "TCP"},
            "value": {"type": "integer"},
            "nested": {"type": "object", "properties": {"x": {"type": "string"}}},
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "number": {"type": "integer"},
                "text": {"type": "string"},
                "places": PLACES,
                "words": {
                    "type": "array",
                    "x-kubernetes-list-type": "set",
                    "items": {"type": "string"},
                },
                "steps": {"type": "array", "items": {"type": "string"}},
                "options": {"type": "object", "additionalProperties": {"type": "string"}},
                "whole": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "additionalProperties": {"type": "string"},
                },
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


@pytest.fixture(scope="module")
def node() -> Node:
    return Schema.compile(SCHEMA).root


def thing(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "e/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": spec}


def no_other(obj: Any, version: str) -> None:
    """Convert nothing: there is one version."""


def write(manager: str, subresource: str = "", **changes: Any) -> Write:
    circumstances = {
        "now": NOW,
        "ignored": frozenset({"f:status"}),
        "convert": no_other,
        **changes,
    }
    return Write(manager, subresource, **circumstances)


class World:
    """One object and those who write it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.obj: dict[str, Any] = {"apiVersion": "e/v1", "kind": "Thing"}
        self.managers: managed_fields.Managers = {}

    def view(self, obj: Any) -> View:
        return View(obj, self.node, "e/v1")

    def apply(self, manager: str, *, force: bool = False, **spec: Any) -> "World":
        self.obj, self.managers = managed_fields.apply(
            self.view(self.obj), thing(**spec), self.managers, write(manager), force=force
        )
        return self

    def update(self, manager: str, **spec: Any) -> "World":
        new = thing(**spec)
        if self.managers or "metadata" in self.obj:
            self.managers = managed_fields.update(
                self.view(self.obj), self.view(new), self.managers, write(manager)
            )
        else:
            self.managers = managed_fields.create(self.view(new), write(manager))
        self.obj = new
        return self

    @property
    def spec(self) -> Any:
        return self.obj.get("spec")

    def owned(self, manager: str, operation: str = "Apply") -> list[str]:
        version = "" if operation == "Apply" else "e/v1"
        found = self.managers.get(Identity(manager, operation, version, ""))
        return [fields.render(path) for path in fields.paths(found.fields)] if found else []


@pytest.fixture
def world(node: Node) -> World:
    return World(node)


def shown(found: fields.Fields) -> list[str]:
    return [fields.render(path) for path in fields.paths(found)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"number": 1}, [".spec.number"]),
        ({"steps": ["a"]}, [".spec.steps"]),
        ({"whole": {"a": "b"}}, [".spec.whole"]),
        ({"words": ["b", "a"]}, ['.spec.words[="a"]', '.spec.words[="b"]']),
        ({"options": {"a": "b"}}, [".spec.options.a"]),
        ({"options": {}}, [".spec.options"]),
        ({"words": []}, []),
        (
            {"places": [{"name": "a", "value": 1}]},
            [
                '.spec.places[name="a",protocol="TCP"]',
                '.spec.places[name="a",protocol="TCP"].name',
                '.spec.places[name="a",protocol="TCP"].value',
            ],
        ),
        (
            {"open": {"a": {"b": [1, {"c": 2}]}}},
            [".spec.open.a", ".spec.open.a.b"],
        ),
    ],
)
def test_an_applied_configuration_names_its_fields(
    node: Node, spec: dict[str, Any], expected: list[str]
) -> None:
    found = reading.to_fields({"spec": spec}, node)
    assert shown(found) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"places": [{"value": 1}, {"name": "a"}, {"name": "a"}]}, "duplicate entries for key"),
        ({"words": ["a", "a"]}, 'duplicate entries for key [="a"]'),
        ({"places": [{"name": "a"}, 3]}, "element 1: associative list"),
    ],
)
def test_lists_that_cannot_be_told_apart_are_refused(
    node: Node, spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypingError) as caught:
        reading.to_fields({"spec": spec}, node)
    assert message in str(caught.value)


def test_elements_have_upstreams_order_and_form() -> None:
    names = [
        "v:10",
        "v:9",
        'k:{"name":"b"}',
        "f:z",
        "i:10",
        "i:9",
        'v:"a"',
        'k:{"name":"a"}',
        "f:a",
    ]
    assert elements.ordered(names) == [
        "f:a",
        "f:z",
        'k:{"name":"a"}',
        'k:{"name":"b"}',
        "v:9",
        "v:10",
        'v:"a"',
        "i:9",
        "i:10",
    ]
    assert elements.key({"b": 1, "a": "x"}) == 'k:{"a":"x","b":1}'
    assert elements.canonical('k:{ "b": 1, "a": "x" }') == 'k:{"a":"x","b":1}'
    assert elements.canonical("z:new") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k:[]", "has no object of key fields"),
        ("k:{", "unexpected end of data|EOF"),
        ("i:x", "has no index"),
        ("v:", "zero-length|EOF|empty"),
        ("f", "is no path element"),
        ("", "is no path element"),
    ],
)
def test_what_is_no_element_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        elements.canonical(text)


def test_a_comparison_tells_removed_modified_and_added(node: Node) -> None:
    old = {
        "spec": {
            "number": 1,
            "text": "a",
            "places": [{"name": "a", "value": 1}, {"name": "b"}],
            "steps": ["a"],
            "options": {"x": "1"},
        }
    }
    new = {
        "spec": {
            "number": 2,
            "places": [{"name": "c"}, {"name": "a", "protocol": "TCP", "value": 2}],
            "steps": ["b"],
            "options": {"x": "1", "y": "2"},
        }
    }
    found = comparison.compare(old, new, node)
    assert shown(found.modified) == [
        ".spec.number",
        ".spec.steps",
        '.spec.places[name="a",protocol="TCP"].value',
    ]
    assert shown(found.added) == [
        ".spec.options.y",
        '.spec.places[name="c",protocol="TCP"]',
        '.spec.places[name="a",protocol="TCP"].protocol',
        '.spec.places[name="c",protocol="TCP"].name',
    ]
    assert shown(found.removed) == [
        ".spec.text",
        '.spec.places[name="b",protocol="TCP"]',
        '.spec.places[name="b",protocol="TCP"].name',
    ]


def test_items_that_stand_there_twice_count_as_one_value(node: Node) -> None:
    once, twice = {"spec": {"words": ["a", "b"]}}, {"spec": {"words": ["a", "a", "b"]}}
    assert shown(comparison.compare(once, twice, node).touched) == ['.spec.words[="a"]']
    back = comparison.compare(twice, once, node)
    assert shown(back.removed) == shown(back.added) == ['.spec.words[="a"]']


@pytest.mark.parametrize(
    ("live", "config", "expected"),
    [
        (["a", "b", "c"], ["b"], ["a", "b", "c"]),
        (["a", "b", "c"], ["c", "a"], ["b", "c", "a"]),
        (["a", "b"], ["x", "b"], ["a", "x", "b"]),
        (["a", "b", "c", "d"], ["d", "x", "b"], ["a", "c", "d", "x", "b"]),
        ([], ["b", "a"], ["b", "a"]),
        (["a"], [], ["a"]),
        (["a", "a", "b"], ["a"], ["a", "b"]),
    ],
)
def test_merged_lists_keep_an_order_that_both_can_live_with(
    node: Node, live: list[str], config: list[str], expected: list[str]
) -> None:
    merged = merging.merge({"spec": {"words": live}}, {"spec": {"words": config}}, node)
    assert merged["spec"]["words"] == expected


def test_removal_takes_members_and_all_below_them(node: Node) -> None:
    obj = {"spec": {"number": 1, "places": [{"name": "a", "value": 1}, {"name": "b"}]}}
    item = elements.key({"name": "a", "protocol": "TCP"})
    unwanted: fields.Fields = {"f:spec": {"f:places": {item: {}}}}
    assert removal.remove(obj, unwanted, node) == {"spec": {"number": 1, "places": [{"name": "b"}]}}


def test_a_dropped_field_goes_when_nobody_else_owns_it(world: World) -> None:
    world.apply("a", number=1, text="x", options={"k": "v", "l": "w"})
    world.apply("b", text="x")
    world.apply("a", options={"k": "v"})
    assert world.spec == {"text": "x", "options": {"k": "v"}}
    assert world.owned("b") == [".spec.text"]
    assert world.owned("a") == [".spec.options.k"]


def test_a_dropped_list_item_goes_with_what_an_updater_added_to_it(world: World) -> None:
    world.apply("a", places=[{"name": "x", "value": 1}, {"name": "y"}])
    world.update("b", places=[{"name": "x", "value": 1, "nested": {"x": "1"}}, {"name": "y"}])
    world.apply("a", places=[{"name": "y"}])
    assert world.spec == {"places": [{"name": "y"}]}
    assert world.owned("b", "Update") == []


def test_a_dropped_list_item_stays_when_another_applier_has_it(world: World) -> None:
    world.apply("a", places=[{"name": "x", "value": 1}, {"name": "y"}])
    world.apply("b", places=[{"name": "x", "nested": {"x": "1"}}])
    world.apply("a", places=[{"name": "y"}])
    assert world.spec == {"places": [{"name": "x", "nested": {"x": "1"}}, {"name": "y"}]}


def test_an_applier_may_not_change_what_another_owns(world: World) -> None:
    world.apply("a", number=1, text="x")
    world.update("b", number=2, text="y")
    with pytest.raises(FieldConflictsError) as caught:
        world.apply("a", number=3, text="z")
    assert str(caught.value) == (
        'Apply failed with 2 conflicts: conflicts with "b" using e/v1:\n- .spec.number\n- .spec.text'
    )
    with pytest.raises(FieldConflictsError) as caught:
        world.apply("c", number=3)
    assert str(caught.value) == (
        'Apply failed with 1 conflict: conflict with "b" using e/v1: .spec.number'
    )
    assert [cause.to_dict() for cause in caught.value.causes] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "b" using e/v1',
            "field": ".spec.number",
        }
    ]


def test_conflicts_of_several_owners_are_grouped(world: World) -> None:
    world.apply("a", number=1).apply("b", text="x")
    with pytest.raises(FieldConflictsError) as caught:
        world.apply("c", number=2, text="y")
    assert str(caught.value) == (
        'Apply failed with 2 conflicts: conflicts with "a":\n- .spec.number\n'
        'conflicts with "b":\n- .spec.text'
    )


def test_force_takes_fields_over(world: World) -> None:
    world.apply("a", number=1, text="x").apply("b", force=True, number=2)
    assert world.spec == {"number": 2, "text": "x"}
    assert world.owned("a") == [".spec.text"]
    assert world.owned("b") == [".spec.number"]


def test_equal_values_are_shared(world: World) -> None:
    world.apply("a", number=1).apply("b", number=1)
    assert world.owned("a") == world.owned("b") == [".spec.number"]
    world.apply("a")
    assert world.spec == {"number": 1}
    world.apply("b")
    assert not world.spec


def test_an_update_owns_what_it_changes(world: World) -> None:
    world.update("a", number=1, text="x")
    assert world.owned("a", "Update") == [".spec", ".spec.number", ".spec.text"]
    world.update("b", number=2, text="x")
    assert world.owned("a", "Update") == [".spec", ".spec.text"]
    assert world.owned("b", "Update") == [".spec.number"]
    world.update("b", text="x")
    assert world.owned("b", "Update") == []


def test_an_update_that_changes_nothing_changes_no_entry(world: World) -> None:
    world.update("a", number=1)
    before = world.managers
    later = write("b", now=NOW + datetime.timedelta(hours=1))
    view = world.view(world.obj)
    assert managed_fields.update(view, view, before, later) is before


def test_what_was_there_before_the_first_apply_is_owned_by_its_time(world: World) -> None:
    world.obj = thing(number=1)
    with pytest.raises(FieldConflictsError) as caught:
        world.apply("a", number=2)
    assert 'conflict with "before-first-apply" using e/v1: .spec.number' in str(caught.value)


def test_atomic_parts_have_one_owner(world: World) -> None:
    world.apply("a", whole={"x": "1"}, steps=["a"])
    with pytest.raises(FieldConflictsError):
        world.apply("b", whole={"y": "1"})
    world.apply("b", force=True, whole={"y": "1"})
    assert world.spec["whole"] == {"y": "1"}


def test_old_updaters_are_merged(world: World) -> None:
    for number in range(15):
        options = {f"o{index}": "x" for index in range(number + 1)}
        world.update(f"m{number:02}", options=options)
    updaters = [identity for identity in world.managers if identity.operation == "Update"]
    assert len(updaters) == 10
    assert ".spec.options.o0" in world.owned("ancient-changes", "Update")
    every = set().union(*(world.owned(each.manager, "Update") for each in updaters))
    assert {f".spec.options.o{number}" for number in range(15)} <= every


def test_status_writers_are_apart(node: Node) -> None:
    world = World(node).update("a", number=1)
    new = world.obj | {"status": {"ok": True}}
    status = write("ctl", "status", ignored=frozenset({"f:spec", "f:metadata"}))
    managers = managed_fields.update(world.view(world.obj), world.view(new), world.managers, status)
    found = managers[Identity("ctl", "Update", "e/v1", "status")]
    assert shown(found.fields) == [".status", ".status.ok"]
    entries = managed_fields.encode(managers)
    assert [entry.get("subresource") for entry in entries] == [None, "status"]


def test_entries_survive_the_wire(world: World) -> None:
    world.update("u", number=1, text="a").apply("b", places=[{"name": "x"}]).apply("a", number=1)
    entries = managed_fields.encode(world.managers)
    assert [(entry["operation"], entry["manager"]) for entry in entries] == [
        ("Apply", "a"),
        ("Apply", "b"),
        ("Update", "u"),
    ]
    assert managed_fields.encode(managed_fields.decode(entries)) == entries
    assert managed_fields.encode(managed_fields.decode(entries, trusted=False)) == entries
    later = [entry | {"time": "2030-01-01T00:00:00Z"} for entry in entries]
    assert managed_fields.same_but_times(entries, later)
    assert not managed_fields.same_but_times(entries, later[:1])


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"operation": "Apply"},
        {"operation": "Eat", "apiVersion": "v1", "fieldsType": "FieldsV1"},
        {"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV2"},
        {"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "manager": 3},
        {
            "operation": "Apply",
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:a": 1},
        },
        {"operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"a": {}}},
        "text",
    ],
)
def test_entries_from_outside_are_checked(entry: Any) -> None:
    with pytest.raises(managed_fields.EntriesError):
        managed_fields.decode([entry], trusted=False)


def test_reset_is_an_empty_list_or_one_empty_entry() -> None:
    assert managed_fields.is_reset([])
    assert managed_fields.is_reset([{}])
    assert not managed_fields.is_reset(None)
    assert not managed_fields.is_reset([{"manager": "a"}])


def test_a_part_that_has_become_atomic_is_owned_whole(node: Node) -> None:
    owned: fields.Fields = {"f:spec": {"f:steps": {"i:0": {}}, "f:whole": {".": {}, "f:a": {}}}}
    assert shown(reading.reconciled(node, owned)) == [".spec.steps", ".spec.whole"]


def test_a_created_deployment_is_owned_as_go_would_say() -> None:
    root = openapi.schema_for("apps/v1", "Deployment").root
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "resources": {}}
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": {"a": "b"}},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [container], "securityContext": {}},
            },
        },
    }
    managers = managed_fields.create(View(obj, root, "apps/v1"), write("kubectl-create"))
    (entry,) = managed_fields.encode(managers)
    port = 'k:{"containerPort":80,"protocol":"TCP"}'
    assert entry["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"c"}': {
                            ".": {},
                            "f:image": {},
                            "f:name": {},
                            "f:ports": {".": {}, port: {".": {}, "f:containerPort": {}}},
                            "f:resources": {},
                        }
                    },
                    "f:securityContext": {},
                },
            },
        },
    }


def test_owners_in_another_version_see_the_change_in_theirs(node: Node) -> None:
    renamed = {**SCHEMA["properties"]["spec"]["properties"]}  # type: ignore[index]
    renamed["count"] = renamed.pop("number")
    other = Schema.compile(
        {"type": "object", "properties": {"spec": {"type": "object", "properties": renamed}}}
    ).root

    def convert(obj: Any, version: str) -> View | None:
        if version == obj["apiVersion"]:
            return View(obj, node if version == "e/v1" else other, version)
        old, new = ("number", "count") if version == "e/v2" else ("count", "number")
        spec = {new if key == old else key: value for key, value in obj.get("spec", {}).items()}
        shape = {"e/v1": node, "e/v2": other}.get(version)
        return View(obj | {"apiVersion": version, "spec": spec}, shape, version) if shape else None

    circumstances: dict[str, Any] = {"convert": convert}
    live = View({"apiVersion": "e/v2", "kind": "Thing"}, other, "e/v2")
    config = {"apiVersion": "e/v2", "metadata": {"name": "t"}, "spec": {"count": 1, "text": "x"}}
    obj, managers = managed_fields.apply(live, config, {}, write("a", **circumstances))
    now = convert(obj, "e/v1")
    assert now is not None
    with pytest.raises(FieldConflictsError, match=r'conflict with "a": \.spec\.count'):
        managed_fields.apply(now, thing(number=2), managers, write("b", **circumstances))
    # The applier moves on to the other version, and drops what it had in the first.
    obj, managers = managed_fields.apply(
        now, thing(number=1), managers, write("a", **circumstances)
    )
    assert obj["spec"] == {"number": 1}
    # Owners in a version that is served no more are forgotten.
    gone = {Identity("z", "Apply", "", ""): managed_fields.Manager({"f:spec": {}}, "e/v0")}
    view = View(obj, node, "e/v1")
    changed = View(thing(number=5), node, "e/v1")
    after = managed_fields.update(view, changed, gone, write("b", **circumstances))
    assert Identity("z", "Apply", "", "") not in after


def test_kubectl_may_take_what_it_had_by_its_annotation(world: World) -> None:
    annotation = "kubectl.kubernetes.io/last-applied-configuration"
    last = '{"apiVersion":"e/v1","kind":"Thing","metadata":{"name":"t"},"spec":{"number":1}}'
    world.obj = thing(number=1, text="x")
    world.obj["metadata"]["annotations"] = {annotation: last}
    world.managers = managed_fields.create(
        world.view(world.obj), write("kubectl-client-side-apply")
    )
    with pytest.raises(FieldConflictsError):
        world.apply("other", number=2)
    with pytest.raises(FieldConflictsError, match=r"\.spec\.text"):
        world.apply("kubectl", number=2, text="y")
    world.apply("kubectl", number=2)
    assert world.spec == {"number": 2, "text": "x"}
    assert world.obj["metadata"]["annotations"][annotation] == (
        '{"apiVersion":"e/v1","kind":"Thing","metadata":{"name":"t"},"spec":{"number":2}}\n'
    )


@pytest.mark.parametrize("told", ["", "x"])
@pytest.mark.parametrize("involved", [{}, {"name": "p"}, {"name": "p", "uid": ""}])
@pytest.mark.parametrize("further", [{}, {"related": {"name": "q"}}, {"related": None}])
def test_who_creates_an_event_owns_it_whatever_its_texts_say(
    told: str, involved: Any, further: Any
) -> None:
    event = {"metadata": {"name": "e"}, "involvedObject": involved, "message": told, **further}
    large = {**event, "metadata": {"name": "e", "labels": {"a": "b"}}}
    root = openapi.schema_for("v1", "Event").root
    write = Write("me", "", NOW, frozenset(), lambda _obj, _version: None)
    (small,), (whole,) = (
        [manager.fields for manager in managed_fields.create(View(obj, root, "v1"), write).values()]
        for obj in (event, large)
    )
    assert whole["f:metadata"] == {"f:labels": {".": {}, "f:a": {}}}
    assert small == {name: below for name, below in whole.items() if name != "f:metadata"}
    assert list(small) == sorted(small)
