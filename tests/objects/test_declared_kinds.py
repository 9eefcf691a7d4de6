"""Kinds declared as dataclasses: schema, definition, reading and writing back."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import openapi
from wherry.objects.declared import fields, kind, published, reading, structural
from wherry.objects.resources import Resource


@dataclass(frozen=True)
class Policy:
    """How it is run.

    More about it.
    """

    clean_pod_policy: str = fields.about("What to remove.", filled="None", enum=["All", "None"])
    backoff_limit: int | None = fields.about("How often.", minimum=0)


@dataclass(frozen=True)
class Replica:
    """Pods that are alike."""

    replicas: int | None = fields.about("How many.", minimum=0)
    template: dict[str, Any] = fields.about("The pod.", dict, published=published.POD_TEMPLATE)


@dataclass(frozen=True)
class BoatSpec:
    """A boat."""

    run_policy: Policy = fields.about("How it is run.", Policy())
    replica_specs: dict[str, Replica] = fields.about("By type.", dict, required=True)
    nproc: int | str = fields.about("A number, or auto.", "", name="nprocPerNode")
    tags: tuple[str, ...] = fields.about("Words.", ())


BOATS = Resource("x.dev", "v1", "boats", "Boat", short_names=("bt",))
BOAT = kind.Kind(
    resource=BOATS,
    versions=(
        kind.Version(
            name="v1",
            spec=BoatSpec,
            status=Policy,
            columns=(kind.Column("State", "string", kind.condition("Ready")),),
            scale=kind.Scale(".spec.replicas", ".status.replicas"),
        ),
        kind.Version(name="v1alpha1", spec=Policy, deprecated="use x.dev/v1"),
    ),
)


def test_the_schema_says_what_was_declared():
    schema = structural.schema(BoatSpec)
    assert schema["description"] == "A boat."
    assert schema["required"] == ["replicaSpecs"]
    policy = schema["properties"]["runPolicy"]["properties"]
    assert policy["cleanPodPolicy"] == {
        "type": "string",
        "enum": ["All", "None"],
        "description": "What to remove.",
        "default": "None",
    }
    assert policy["backoffLimit"]["minimum"] == 0
    assert schema["properties"]["nprocPerNode"]["x-kubernetes-int-or-string"] is True


def test_a_pod_template_is_spelt_out_and_checks_as_kubernetes_does():
    schema = openapi.custom({"type": "object", "properties": {"spec": structural.schema(BoatSpec)}})
    container = {"name": "c", "image": "i", "ports": [{"containerPort": 1}], "bogus": 1}
    boat: dict[str, Any] = {
        "spec": {"replicaSpecs": {"W": {"template": {"spec": {"containers": [container]}}}}}
    }
    assert schema.check(boat) == []
    schema.default(boat)
    assert container["ports"] == [{"containerPort": 1, "protocol": "TCP"}]
    schema.prune(boat)
    assert "bogus" not in container
    container["ports"] = "none"
    (cause,) = schema.check(boat)
    assert cause.field == "spec.replicaSpecs.W.template.spec.containers[0].ports"


def test_the_definition_serves_every_version_and_stores_one():
    definition = BOAT.definition()
    assert definition["metadata"]["name"] == "boats.x.dev"
    new, old = definition["spec"]["versions"]
    assert (new["storage"], old["storage"]) == (True, False)
    assert old["deprecationWarning"] == "use x.dev/v1"
    assert new["subresources"]["scale"]["specReplicasPath"] == ".spec.replicas"
    assert [column["name"] for column in new["additionalPrinterColumns"]] == ["State", "Age"]


def test_a_field_that_does_not_say_what_it_is_for_is_refused():
    @dataclass(frozen=True)
    class Silent:
        name: str = ""

    with pytest.raises(TypeError, match="'name': declare it with about"):
        structural.schema(Silent)


def test_reading_passes_over_what_it_does_not_know_and_fills_in_what_is_missing():
    spec = reading.read(BoatSpec, {"bogus": 1, "runPolicy": {"backoffLimit": 2}, "tags": None})
    assert spec.run_policy == Policy(clean_pod_policy="None", backoff_limit=2)
    assert (spec.replica_specs, spec.tags) == ({}, ())


_REPLICAS = st.builds(
    Replica,
    replicas=st.none() | st.integers(0, 9),
    template=st.just({}) | st.just({"spec": {"containers": []}}),
)


@given(
    st.builds(
        BoatSpec,
        run_policy=st.builds(Policy, backoff_limit=st.none() | st.integers(0, 9)),
        replica_specs=st.dictionaries(st.sampled_from("abc"), _REPLICAS),
        nproc=st.sampled_from(["", "auto", 4]),
        tags=st.lists(st.text(max_size=3)).map(tuple),
    )
)
def test_what_is_written_reads_back(spec):
    assert reading.read(BoatSpec, reading.write(spec)) == spec
    assert reading.read(BoatSpec, reading.write(dataclasses.replace(spec))) == spec
