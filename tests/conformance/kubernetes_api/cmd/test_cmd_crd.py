"""Definitions of kinds, and what kubectl does with objects of kinds that it has never heard of."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")
PRESERVE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
GROUP = "company.example.com"


def definition(plural, kind, *, version="v1", schema=PRESERVE, **names):
    spec = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **names},
            "versions": [spec],
        },
    }


def define(cmd, made):
    name = made["metadata"]["name"]
    cmd("create", "-f", cmd.file(f"{name}.yaml", made))
    cmd("wait", "--for=condition=Established", f"crd/{name}")
    cmd.shows(f"crd {name}", "{{.metadata.name}}", name)


def thing(kind, name="test", **fields):
    metadata = {"name": name, "labels": {"pruneGroup": "true"}}
    return {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": metadata, **fields}


@pytest.fixture
def foos_and_bars(cmd):
    """Define two kinds, and one whose name and kind do not match."""
    define(cmd, definition("foos", "Foo"))
    define(cmd, definition("bars", "Bar"))
    define(cmd, definition("resources", "Kind", singular="resource", listKind="KindList"))
    names = [f"{plural}.{GROUP}" for plural in ("foos", "bars", "resources")]
    for plural in ("foos", "bars"):
        path = f"/apis/{GROUP}/v1"
        cmd.waits(lambda path=path, plural=plural: plural in cmd("get", "--raw", path), plural)
    yield
    cmd("delete", "customresourcedefinitions", *names)


@case(name="crd: run_crd_tests")
def test_definitions(cmd, foos_and_bars):
    items = {"type": "array", "items": {"type": "number"}}
    schema = {"type": "object", "properties": {"spec": items}}
    define(cmd, definition("validfoos", "ValidFoo", schema=schema))
    found = [name for name in names_of(cmd, "crds") if name.endswith(GROUP)]
    plurals = ("bars", "foos", "resources", "validfoos")
    assert found == [f"{plural}.{GROUP}" for plural in plurals]
    cmd("delete", "crd", f"validfoos.{GROUP}")


def names_of(cmd, what):
    return [one["metadata"]["name"] for one in cmd.get(what)["items"]]


@case(name="crd: run_non_native_resource_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_custom_resources(cmd, foos_and_bars):
    for plural in ("foos", "bars", "resources"):
        cmd.lists(plural)
    names_kinds(cmd)
    prints(cmd)
    patches(cmd)
    labels_and_describes(cmd)
    watches(cmd)
    applies(cmd)
    applies_lists(cmd)
    prunes(cmd)
    goes_with_its_namespace(cmd)


def names_kinds(cmd):
    cmd("create", "-f", cmd.file("kind.yaml", thing("Kind", "myobj")))
    expected = f"kind.{GROUP}/myobj\n"
    for what in ("resource/myobj", "resources/myobj", f"kind.{GROUP}/myobj"):
        assert cmd.out("get", what, "-o", "name") == expected
    cmd("delete", "resources", "myobj", "--cascade=background")
    cmd.comes_to("resources")


def prints(cmd):
    foo = thing("Foo", someField="field1", nestedField={"a": "subfield1", "b": "subfield2"})
    cmd("create", "-f", cmd.file("foo.yaml", foo))
    for what in ("foos", "foo", f"foos.{GROUP}", f"foos.v1.{GROUP}"):
        cmd.lists(what, "test")
    for what in ("foos", "foos/test"):
        for flags in ((), ("-o", "name"), ("-o", "wide"), ("-o", "json"), ("-o", "yaml")):
            assert "test" in cmd("get", what, *flags)
    strict = "--allow-missing-template-keys=false"
    for what, form in (
        ("foos", "jsonpath={.items[*].someField}"),
        ("foos/test", "jsonpath={.someField}"),
        ("foos", "go-template={{range .items}}{{.someField}}{{end}}"),
        ("foos/test", "go-template={{.someField}}"),
    ):
        assert cmd.out("get", what, "-o", form, strict) == "field1"
    assert cmd.out("get", "foos/test", "-o", "name") == f"foo.{GROUP}/test\n"


def patches(cmd):
    patch, patched = ("patch", "foos/test", "--type=merge"), "{{.patched}}"
    for value, flags in (("value1", ()), ("value2", ("--record",))):
        cmd(*patch, f'-p={{"patched":"{value}"}}', *flags)
        cmd.shows("foos/test", patched, value)
    cmd(*patch, '-p={"patched":null}', "--record")
    cmd.shows("foos/test", patched, "<no value>")
    file = cmd.file("dump.json", cmd.out("get", "foos/test", "-o", "json"))
    change = ("-f", file, '-p={"patched":"value3"}')
    assert "try --type merge" in cmd.fails("patch", "--local", *change)
    assert "value3" in cmd("patch", "--local", *change, "--type=merge", "-o", "json")
    cmd("patch", "--record", *change, "--type=merge", "-o", "json")
    cmd.shows("foos/test", patched, "value3")


def labels_and_describes(cmd):
    cmd("label", "foos", "--all", "listlabel=true")
    cmd("label", "foo/test", "itemlabel=true")
    cmd("annotate", "foos", "--all", "listannotation=true")
    cmd("annotate", "foo/test", "itemannotation=true")
    for what in ("foos", "foos/test"):
        cmd.describes(what, "listlabel=true", "itemlabel=true", "itemannotation: true")
    cmd("delete", "foos", "test", "--cascade=background")
    cmd.comes_to("foos")


def watches(cmd):
    cmd("create", "-f", cmd.file("bar.yaml", thing("Bar")))
    cmd.lists("bars", "test")
    with cmd.follow("get", "bars", "--watch-only", "-o", "name", "--request-timeout=1m") as watch:
        count = 0

        def told():
            # It may not have begun when the first change is made.
            nonlocal count
            count += 1
            cmd("patch", "bars/test", "--type=merge", f'-p={{"patched":"{count}"}}')
            return f"bar.{GROUP}/test" in watch.read()

        cmd.waits(told, "the watch tells of a change")
    cmd("delete", "bars", "test", "--cascade=orphan")
    cmd.comes_to("bars")


def applies(cmd):
    def applied(**nested):
        cmd(
            "apply",
            "-f",
            cmd.file("foo.yaml", thing("Foo", someField="field1", nestedField=nested)),
        )
        found = cmd.get("foos/test")
        assert (found["someField"], found["nestedField"]) == ("field1", nested)

    for _ in range(2):
        applied(some="subfield1", other="subfield2")
    cmd.lists("foos", "test")
    applied(some="modified", other="subfield2")
    applied(some="modified")
    applied(some="modified", new="subfield3")
    cmd("delete", "-f", "foo.yaml")
    cmd.comes_to("foos")


def applies_lists(cmd):
    def applied(**fields):
        items = [thing(kind, "in-list", **fields) for kind in ("Foo", "Bar")]
        whole = {"apiVersion": "v1", "kind": "List", "items": items}
        cmd("apply", "-f", cmd.file("list.yaml", whole))
        for plural in ("foos", "bars"):
            cmd.lists(plural, "in-list")
            found = cmd.get(f"{plural}/in-list")
            assert {name: found[name] for name in found if name.endswith("Field")} == fields

    for _ in range(2):
        applied(someField="field1", otherField="field2")
    applied(someField="modified", otherField="field2")
    applied(someField="modified")
    applied(someField="modified", newField="field3")
    cmd("delete", "-f", "list.yaml")
    cmd.comes_to("foos")
    cmd.comes_to("bars")


def prunes(cmd):
    allowed = [f"--prune-allowlist={GROUP}/v1/{kind}" for kind in ("Foo", "Bar")]
    apply = ("apply", "--prune", "-l", "pruneGroup=true", *allowed, "-f")
    cmd(*apply, cmd.file("foo.yaml", thing("Foo")))
    cmd.lists("foos", "test")
    cmd.lists("bars")
    cmd(*apply, cmd.file("bar.yaml", thing("Bar")))
    cmd.comes_to("foos")
    cmd.lists("bars", "test")
    cmd("delete", "-f", "bar.yaml")
    cmd.comes_to("bars")


def goes_with_its_namespace(cmd):
    space = cmd.make_space()
    cmd("create", "-f", "bar.yaml", f"--namespace={space}")
    cmd.lists(f"bars -n {space}", "test")
    cmd("delete", "namespace", space)
    cmd.comes_to(f"bars -n {space}")
    cmd.missing("namespace", space)
