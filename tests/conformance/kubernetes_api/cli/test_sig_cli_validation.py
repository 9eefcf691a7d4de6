"""What kubectl refuses to send, and its own preferences, as upstream's sig-cli cases have them."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from wherry.objects import conditions, kinds
from wherry.testing.kubectl import Kubectl
from wherry.testing.waiting import eventually

IMAGE, OTHER_IMAGE = "python:3", "python:3.11"
BAR = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
FOO = {
    "type": "object",
    "properties": {
        "spec": {"type": "object", "properties": {"bars": {"type": "array", "items": BAR}}}
    },
}
EMBEDDED = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {"template": {"type": "object", "x-kubernetes-embedded-resource": True}},
        }
    },
}


def case(name: str, what: str = "Kubectl client Kubectl validation") -> pytest.MarkDecorator:
    full = f"{what} {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-cli", name=full)


class Kind:
    """A kind of the case's own."""

    def __init__(self, api: Any, kubectl: Kubectl, group: str, schema: Any) -> None:
        self.kubectl = kubectl
        self.version = f"{group}.example.com/v1"
        names = {"plural": "foos", "singular": "foo", "kind": "Foo", "listKind": "FooList"}
        version = {"name": "v1", "served": True, "storage": True}
        spec = {
            "group": f"{group}.example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
        }
        self.name = f"foos.{group}.example.com"
        resource = kinds.CUSTOM_RESOURCE_DEFINITIONS
        api.create(resource, {"metadata": {"name": self.name}, "spec": spec})
        eventually(
            lambda: conditions.is_true(api.get(resource, self.name), "Established"),
            what="the kind is established",
        )

    def one(self, meta: Any = None, **fields: Any) -> str:
        made = {
            "apiVersion": self.version,
            "kind": "Foo",
            "metadata": {"name": "one", **(meta or {})},
        }
        return json.dumps({**made, **fields})

    def takes(self, text: str) -> None:
        """See to it that it can be created, applied and deleted."""
        for verb in ("create", "apply"):
            self.kubectl(verb, "-f", "-", text=text)
            self.kubectl("delete", self.name, "one")


@pytest.fixture
def kind(api: Any, kubectl: Kubectl, unique: str, cleanup: contextlib.ExitStack) -> Any:
    """Give ``kind(schema)``, which defines one."""

    def define(schema: Any) -> Kind:
        made = Kind(api, kubectl, unique, schema)
        cleanup.callback(api.delete, kinds.CUSTOM_RESOURCE_DEFINITIONS, made.name)
        return made

    return define


@case("should create/apply a CR with unknown fields for CRD with no validation schema")
def test_no_schema(kind: Any) -> None:
    made = kind({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    made.takes(made.one(a={"b": [{"c": "d"}]}))


@case("should create/apply a valid CR for CRD with validation schema")
def test_schema(kind: Any) -> None:
    made = kind(FOO)
    made.takes(made.one(spec={"bars": [{"name": "test-bar"}]}))


@case(
    "should create/apply an invalid/valid CR with arbitrary-extra "
    "properties for CRD with partially-specified validation schema"
)
def test_partial_schema(kind: Any, kubectl: Kubectl) -> None:
    made = kind({**FOO, "x-kubernetes-preserve-unknown-fields": True})
    spec = {"bars": [{"name": "test-bar"}]}
    wrong = made.one(spec={**spec, "extraProperty": "arbitrary-value"})
    assert 'unknown field "spec.extraProperty"' in kubectl.fails("create", "-f", "-", text=wrong)
    made.takes(made.one(spec=spec, extraProperty="arbitrary-value"))


@case("should detect unknown metadata fields in both the root and embedded object of a CR")
def test_unknown_metadata(kind: Any, kubectl: Kubectl) -> None:
    made = kind(EMBEDDED)

    def refused(meta: Any, inner: Any) -> str:
        place = {"name": "sub", "namespace": kubectl.namespace, **inner}
        template = {"apiVersion": "foo/v1", "kind": "Sub", "metadata": place}
        text = made.one(meta, spec={"template": template})
        return kubectl.fails("create", "--validate=true", "-f", "-", text=text)

    complaint = refused({"unknownMeta": "foo"}, {})
    assert 'unknown field "metadata.unknownMeta"' in complaint
    assert "metadata.namespace" not in complaint
    complaint = refused({}, {"unknownMetaEmbedded": "bar"})
    assert 'unknown field "spec.template.metadata.unknownMetaEmbedded"' in complaint
    assert "metadata.namespace" not in complaint


@case("should detect unknown metadata fields of a typed object")
def test_unknown_metadata_of_a_deployment(kubectl: Kubectl) -> None:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": IMAGE}]},
    }
    made = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "unknownMeta": "foo"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    complaint = kubectl.fails("create", "-f", "-", text=json.dumps(made))
    assert 'unknown field "metadata.unknownMeta"' in complaint
    assert "namespace" not in complaint


@pytest.fixture
def preferences(kubectl: Kubectl, tmp_path: Path) -> str:
    """Write preferences; give the flag that names them."""
    run = [("image", IMAGE), ("labels", "app=test,env=test"), ("namespace", kubectl.namespace)]
    get = [("namespace", kubectl.namespace), ("output", "json")]

    def options(*pairs: tuple[str, str]) -> Any:
        return [{"name": name, "default": value} for name, value in pairs]

    appended = ["test-pod-2", "--", "custom-arg1", "custom-arg2"]
    content = {
        "apiVersion": "kubectl.config.k8s.io/v1beta1",
        "kind": "Preference",
        "aliases": [
            {
                "name": "getn",
                "command": "get",
                "prependArgs": ["namespace"],
                "options": options(("output", "json")),
            },
            {"name": "runx", "command": "run", "options": options(*run), "appendArgs": appended},
        ],
        "defaults": [
            {"command": "delete", "options": options(("interactive", "true"))},
            {"command": "get", "options": options(*get)},
        ],
    }
    path = tmp_path / "kuberc.yaml"
    path.write_text(yaml.safe_dump(content))
    del kubectl.environment["KUBECTL_KUBERC"]
    return f"--kuberc={path}"


def check_pod(pod: Any, image: str) -> None:
    [container] = pod["spec"]["containers"]
    assert container["image"] == image
    assert container["args"] == ["custom-arg1", "custom-arg2"]
    assert pod["metadata"]["labels"] == {"app": "test", "env": "test"}


PREFERENCES = "kubectl kuberc given preferences"
WARNING = "You are about to delete the following 1 resource(s)"


@case("should be applied", PREFERENCES)
def test_preferences(kubectl: Kubectl, preferences: str) -> None:
    assert kubectl("getn", preferences, kubectl.namespace).json["kind"] == "Namespace"
    kubectl("runx", preferences)
    check_pod(kubectl("get", "pod/test-pod-2", preferences).json, IMAGE)
    assert WARNING in kubectl("delete", "pod/test-pod-2", preferences).out


@case("should be ignored when flags are explicitly passed", PREFERENCES)
def test_flags_win(kubectl: Kubectl, preferences: str) -> None:
    found = kubectl("getn", preferences, kubectl.namespace, "-oyaml").out
    assert not found.startswith("{")
    assert yaml.safe_load(found)["metadata"]["name"] == kubectl.namespace
    kubectl("runx", preferences, f"--image={OTHER_IMAGE}")
    check_pod(
        yaml.safe_load(kubectl("get", "pod/test-pod-2", preferences, "-oyaml").out), OTHER_IMAGE
    )
    arguments = ("--interactive=false", "--grace-period=1", preferences)
    assert WARNING not in kubectl("delete", "pod/test-pod-2", *arguments).out
