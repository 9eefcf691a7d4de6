"""`kubectl delete` of many at once, and asking first."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


def make(cmd, label, *places):
    for name, space in places:
        cmd("create", "configmap", name, "-n", space)
        cmd("label", "configmap", name, "-n", space, f"{label}=true")


@case(name="delete: run_kubectl_delete_allnamespaces_tests")
def test_delete_in_all_namespaces(cmd):
    one, two = cmd.make_space(), cmd.make_space()
    make(cmd, "deletetest", ("one", one), ("two", two))
    delete = ("delete", "configmap", "-l", "deletetest=true", "--all-namespaces")
    cmd.dry(*delete)
    cmd.lists(f"configmap -l deletetest -n {one}", "one")
    cmd.lists(f"configmap -l deletetest -n {two}", "two")
    cmd(*delete)
    cmd.lists(f"configmap -l deletetest -n {one}")
    cmd.lists(f"configmap -l deletetest -n {two}")


@case(name="delete: run_kubectl_delete_interactive_tests")
def test_delete_asks(cmd):
    one, two = cmd.make_space(), cmd.make_space()
    make(cmd, "ask1", ("one", one), ("two", two))
    delete = ("delete", "configmap", "--interactive", "--all-namespaces")
    for answer, flags in (("n", ("--dry-run=server",)), ("y", ("--dry-run=server",)), ("n", ())):
        said = cmd(*delete, "-l", "ask1=true", *flags, text=f"{answer}\n")
        assert "configmap/one" in said
        assert "configmap/two" in said
        cmd.lists(f"configmap -l ask1 -n {one}", "one")
        cmd.lists(f"configmap -l ask1 -n {two}", "two")
    make(cmd, "ask2", ("third", one), ("fourth", two))
    cmd(*delete, "-l", "ask2=true", "--wait", text="y\n")
    cmd.lists(f"configmap -l ask2 -n {one}")
    cmd.lists(f"configmap -l ask2 -n {two}")
    make(cmd, "ask3", ("fifth", one), ("sixth", one))
    forced = ("-l", "ask3=true", "--force", "--interactive", "-n", one, "--wait")
    cmd("delete", "configmaps", *forced, text="y\n")
    cmd.lists(f"configmap -l ask3 -n {one}")
