"""`--template`, of every command that prints what it made."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

TEMPLATE = "--template={{ .metadata.name }}:"


@case(name="template-output: run_template_output_tests")
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_template_output(cmd):
    cmd("create", "-f", cmd.at("valid-pod.yaml"))
    cmd.lists("pods", "valid-pod")
    of_what_changes(cmd)
    of_what_creates(cmd)
    of_what_sets(cmd)
    of_secrets_and_services(cmd)
    of_rollouts(cmd)
    of_nodes_and_roles(cmd)
    said = cmd("create", "configmap", "cm", "--dry-run=client", TEMPLATE, "--output=yaml")
    assert "kind: ConfigMap" in said
    assert "kind: Config" in cmd("config", "view")
    assert "Config" in cmd("config", "view", "--template={{ .kind }}:")


def prints(cmd, name, *command, dry=True):
    flags = ("--dry-run=client",) if dry else ()
    cut = command.index("--") if "--" in command else len(command)
    said = cmd.out(*command[:cut], *flags, TEMPLATE, *command[cut:])
    assert f"{name}:" in said, command


def of_what_changes(cmd):
    pod, deployment = cmd.at("valid-pod.yaml"), cmd.at("deployment.yaml")
    patch = ("patch", "pods/valid-pod", '-p={"patched":"value3"}', "--type=merge")
    prints(cmd, "valid-pod", *patch)
    prints(cmd, "valid-pod", "label", "pods/valid-pod", "label=value")
    prints(cmd, "valid-pod", "annotate", "pods/valid-pod", "annotation=value")
    prints(cmd, "valid-pod", "apply", "-f", pod)
    prints(cmd, "valid-pod", "create", "-f", pod)
    prints(cmd, "web", "autoscale", "--max=2", "-f", deployment)
    expose = ("expose", "-f", cmd.at("replicaset-backend.yaml"), "--save-config", "--port=80")
    prints(cmd, "backend", *expose, "--target-port=8000")
    run = ("run", "pi", "--image=example.com/perl:1", "--restart=OnFailure")
    prints(cmd, "pi", *run, "--", "perl", "-wle", "print 1")
    cmd("create", "-f", cmd.at("controller.yaml"))
    last = ("apply", "set-last-applied", "-f", cmd.at("controller.yaml"), "--create-annotation")
    prints(cmd, "frontend", *last)


def of_what_creates(cmd):
    prints(cmd, "cm", "create", "configmap", "cm")
    cmd("create", "cronjob", "pi", "--image=example.com/perl:1", "--schedule=*/10 * * * *")
    prints(cmd, "foo", "create", "job", "foo", "--from=cronjob/pi")
    prints(cmd, "bar", "create", "ns", "bar")
    prints(cmd, "foo", "create", "rolebinding", "foo", "--clusterrole=myclusterrole")
    prints(cmd, "myrole", "create", "role", "--verb=get", "myrole", "--resource=pods")
    prints(cmd, "foo", "create", "quota", "foo")
    prints(cmd, "foo", "create", "priorityclass", "foo")
    budget = ("create", "poddisruptionbudget", "foo", "--selector=foo", "--min-available=1")
    prints(cmd, "foo", *budget)
    prints(cmd, "foo", "create", "serviceaccount", "foo")


def of_what_sets(cmd):
    prints(cmd, "valid-pod", "set", "env", "pod/valid-pod", "A=B")
    prints(cmd, "valid-pod", "set", "image", "pod/valid-pod", "serve=nginx")
    prints(cmd, "valid-pod", "set", "resources", "pod/valid-pod", "--limits=memory=256Mi")
    service = cmd.at("kustomize/service.yaml")
    prints(cmd, "the-service", "set", "selector", "-f", service, "A=B", "--local")
    prints(cmd, "valid-pod", "set", "serviceaccount", "pod/valid-pod", "deployer")


def of_secrets_and_services(cmd):
    person = ("--docker-username=user", "--docker-password=pass", "--docker-email=foo@bar.baz")
    prints(cmd, "foo", "create", "secret", "docker-registry", "foo", *person)
    prints(cmd, "foo", "create", "secret", "generic", "foo", "--from-literal=key1=value1")
    files = cmd.platform.directory / "pki"
    pair = (f"--key={files}/admin.key", f"--cert={files}/admin.crt")
    prints(cmd, "foo", "create", "secret", "tls", "foo", *pair)
    for kind in ("clusterip", "loadbalancer", "nodeport"):
        prints(cmd, "foo", "create", "service", kind, "foo", "--tcp=8080")
    prints(cmd, "foo", "create", "service", "externalname", "foo", "--external-name=bar")


def of_rollouts(cmd):
    create = ("create", "deployment", "deploy", "--image=example.com/web:1")
    prints(cmd, "deploy", *create, dry=False)
    revision = '{{index .metadata.annotations "deployment.kubernetes.io/revision"}}'
    cmd.becomes("deploy/deploy", revision, "1")
    for command in (("pause",), ("history",), ("resume",), ("undo", "--to-revision=1")):
        prints(cmd, "deploy", "rollout", command[0], "deploy/deploy", *command[1:], dry=False)


def of_nodes_and_roles(cmd):
    node = cmd.get("nodes")["items"][0]["metadata"]["name"]
    prints(cmd, node, "taint", "node", node, "dedicated=foo:PreferNoSchedule", dry=False)
    cmd("taint", "node", node, "dedicated-")
    role, binding = f"{cmd.namespace}-role", f"{cmd.namespace}-binding"
    url = ("--verb=get", "--non-resource-url=/logs/", "--resource=pods")
    prints(cmd, role, "create", "clusterrole", role, *url, dry=False)
    prints(
        cmd, binding, "create", "clusterrolebinding", binding, f"--clusterrole={role}", dry=False
    )
    prints(cmd, binding, "set", "subject", f"clusterrolebinding/{binding}", "--user=foo")
    reconciled = []
    for kind in ("clusterrole", "role"):
        text = cmd.out("create", kind, "testing", *url[::2], "--dry-run=client", "-o", "yaml")
        reconciled.append(text)
    file = cmd.file("roles.yaml", "---\n".join(reconciled))
    said = cmd.out("auth", "reconcile", "--dry-run=client", "-f", file, TEMPLATE)
    assert said == "testing:testing:"
    cmd("delete", "clusterrole", role)
    cmd("delete", "clusterrolebinding", binding)
