"""A file of preferences: aliases, and flags that a command has by default."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")


def flags(**values):
    return [{"name": name.replace("_", "-"), "default": value} for name, value in values.items()]


def preferences(space):
    """Return the preferences of a person who works in one namespace."""
    return {
        "apiVersion": "kubectl.config.k8s.io/v1beta1",
        "kind": "Preference",
        "aliases": [
            {"name": "crns", "command": "create namespace", "appendArgs": [space]},
            {
                "name": "getn",
                "command": "get",
                "prependArgs": ["namespace"],
                "options": flags(output="wide"),
            },
            {"name": "crole", "command": "create role", "options": flags(verb="get,watch")},
            {"name": "getrole", "command": "get", "options": flags(output="json")},
            {
                "name": "runx",
                "command": "run",
                "options": flags(image="web", labels="app=test", env="A=test", namespace=space),
                "appendArgs": ["pod-2", "--", "custom-arg1"],
            },
            {"name": "setx", "command": "set image", "appendArgs": ["pod/pod-2", "pod-2=busy"]},
        ],
        "defaults": [
            {"command": "apply", "options": flags(server_side="true", dry_run="server")},
            {"command": "delete", "options": flags(interactive="true")},
            {"command": "get", "options": flags(namespace=space, output="json")},
        ],
    }


class Preferring:
    """kubectl with preferences."""

    def __init__(self, cmd, file):
        cmd.kubectl.environment["KUBECTL_KUBERC"] = "true"
        self.cmd = cmd
        self.flag = f"--kuberc={file}"

    def __call__(self, *arguments, **options):
        return self.cmd(*arguments, self.flag, **options)

    def fails(self, *arguments, **options):
        return self.cmd.fails(*arguments, self.flag, **options)


@case(name="kuberc: run_kuberc_tests")
@pytest.mark.slow
def test_kuberc(cmd):
    space = f"{cmd.namespace}-rc"
    # An alias is not looked for behind a flag.
    cmd.kubectl.command = cmd.kubectl.command[:1]
    preferring = Preferring(cmd, cmd.file("kuberc", preferences(space)))
    knows_aliases(cmd, preferring, space)
    knows_flags(cmd, preferring, space)
    can_be_switched_off(cmd, preferring)
    says_what_is_wrong(cmd, space)
    said = preferring("delete", f"namespace/{space}", "--interactive=false")
    assert f'namespace "{space}" deleted' in said


def knows_aliases(cmd, preferring, space):
    cmd.has_not("namespaces", space)
    preferring("crns")
    cmd.spaces.append(space)
    cmd.shows(f"namespaces/{space}", "{{.metadata.name}}", space)
    assert space in preferring("getn", space)
    assert '"kind": "Namespace"' in preferring("getn", space, "--output=json")
    preferring("crole", "mine", "--verb=list", "-n", space, "--resource=pods")
    said = preferring("getrole", "role/mine", "-n", space, "-oyaml")
    assert "- list" in said
    assert "watch" not in said


def knows_flags(cmd, preferring, space):
    get = ("get", "pod/pod-2")
    preferring("runx")
    cmd.shows(f"pod/pod-2 -n {space}", "{{.metadata.name}}", "pod-2")
    said = preferring(*get)
    assert '"app": "test"' in said
    assert "custom-arg1" in said
    assert 'pods "pod-2" not found' in preferring.fails(*get, "-n", "kube-system")
    preferring("setx", "-n", space)
    assert '"image": "busy"' in preferring(*get, "-n", space)
    said = preferring("apply", "-n", space, "-f", cmd.at("pod.yaml"))
    assert "serverside-applied (server dry run)" in said
    assert "pod/pod-2" in preferring("delete", "pod/pod-2", "-n", space, text="n\n")
    assert "pod-2" in preferring(*get)


def can_be_switched_off(cmd, preferring):
    unknown = 'error: unknown command "getn" for "kubectl"'
    off = {"environment": {"KUBECTL_KUBERC": "false"}}
    assert unknown in preferring.fails("getn", **off)
    preferring("getn")
    off = {"environment": {"KUBERC": "off"}}
    said = preferring.fails("getn", **off)
    assert "KUBERC=off and passing kuberc flag are mutually exclusive" in said
    assert unknown in cmd.fails("getn", **off)


def says_what_is_wrong(cmd, space):
    defaults = [{"command": "get", "options": flags(namespace=space, output="json")}]
    good = {
        "apiVersion": "kubectl.config.k8s.io/v1beta1",
        "kind": "Preference",
        "defaults": defaults,
    }
    other = {"apiVersion": "kubectl.config.k8s.io/notexist", "kind": "Preference"}
    several = Preferring(cmd, cmd.file("several", good | {"unknown": "invalid"}, other))
    said = several("get", "pod/pod-2")
    assert "pod-2" in said
    assert "strict decoding error" in said
    assert "unknown" in said
    empty = Preferring(cmd, cmd.file("empty", ""))
    get = ("get", "namespace", space)
    assert "kuberc: no preferences found in" not in empty(*get)
    for more in (("-v=5",), ("-v", "5"), ("--v=5",)):
        assert "kuberc: no preferences found in" in empty(*get, *more)
