"""Programs on the path that kubectl takes for its own commands."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


@case(name="plugins: run_plugins_tests")
def test_plugins(cmd):
    def plugin(path, text="echo from $0 $*"):
        made = cmd.file(path, f"#!/bin/sh\n{text}\n")
        (cmd.home / path).chmod(0o755)
        return made

    def path(*folders):
        places = [str(cmd.home / folder) for folder in folders]
        return {"environment": {"PATH": ":".join([*places, "/usr/bin", "/bin"])}}

    plugin("version/kubectl-version")
    foo = plugin("more/kubectl-foo", "echo 'plugin foo'")
    plugin("plugins/kubectl-foo", "echo 'plugin foo'")
    bar = plugin("plugins/kubectl-bar")
    said = cmd.fails("plugin", "list", **path("version"))
    assert 'kubectl-version overwrites existing command: "kubectl version"' in said
    said = cmd.fails("plugin", "list", **path("plugins", "more"))
    assert f"{foo} is overshadowed by a similarly named plugin" in said
    assert "plugins are available" in cmd("plugin", "list", **path("plugins"))
    (cmd.home / "empty").mkdir()
    empty = {"environment": {"PATH": str(cmd.home / "empty")}}
    said = cmd.fails("plugin", "list", **empty)
    assert "unable to find any kubectl plugins in your PATH" in said

    def run(*arguments, **options):
        # What is a plug-in's is all its own: kubectl's flags come after.
        command, cmd.kubectl.command = cmd.kubectl.command, cmd.kubectl.command[:1]
        try:
            return cmd(*arguments, **options)
        finally:
            cmd.kubectl.command = command

    assert "plugin foo" in run("foo", **path("plugins"))
    assert f"from {bar} arg1" in run("bar", "arg1", **path("plugins"))
    said = run("version", "--client", **path("version"))
    assert "Client Version" in said
    assert "overshadows an existing plugin" not in said
