"""`kubectl create`."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

INVALID = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: invalid
spec:
  nonsense: 7
  replicas: 1
  replicas: 0
  selector: {matchLabels: {app: invalid}}
  template:
    metadata: {labels: {app: invalid}}
    spec: {containers: [{name: main, image: example.com/web:1, imagePullPolicy: Always}]}
"""


@case(name="create: run_kubectl_create_dry_run_tests")
def test_create_dry_run(cmd):
    cmd.lists("pods")
    cmd.dry("create", "-f", cmd.at("pod.yaml"))
    cmd.lists("pods")


@case(name="create: run_kubectl_create_filter_tests")
def test_create_filter(cmd):
    cmd.lists("pods")
    cmd("create", "-l", "pick=this-one", "-f", cmd.at("filter"))
    cmd.shows("pods chosen-pod", "{{.metadata.labels.name}}", "chosen-pod")
    assert 'pods "other-pod" not found' in cmd.missing("pods", "other-pod")
    cmd("delete", "pods", "chosen-pod")


@case(name="create: run_kubectl_create_error_tests")
def test_create_errors(cmd):
    assert "must specify" in cmd.fails("create")
    raw = ("create", "--raw", "/api/v1/namespaces", "-f", cmd.at("valid-pod.yaml"))
    said = cmd.fails(*raw, "-v=8")
    assert "the object provided is unrecognized (must be of type Namespace)" in said
    assert "raw and --edit are mutually exclusive" in cmd.fails(*raw, "--edit")


@case(name="create: run_create_job_tests")
def test_create_job(cmd):
    image = "{{(index .spec.template.spec.containers 0).image}}"
    cmd("create", "job", "plain", "--image=example.com/web:1")
    cmd.shows("job plain", image, "example.com/web:1")
    cmd("delete", "job", "plain")
    command = ("--", "perl", "-Mbignum=bpi", "-wle", "print bpi(10)")
    cmd("create", "job", "pi", "--image=example.com/perl:1", *command)
    cmd.shows("job pi", image, "example.com/perl:1")
    cmd("delete", "job", "pi")
    cron = ("--schedule=* */5 * * *", "--image=example.com/perl:1")
    cmd("create", "cronjob", "again", *cron, *command)
    cmd("create", "job", "mine", "--from=cronjob/again")
    told = "{{(index .spec.template.spec.containers 0).command}}"
    cmd.shows("job mine", told, "[perl -Mbignum=bpi -wle print bpi(10)]")
    cmd("delete", "job", "mine")
    cmd("delete", "cronjob", "again")


@case(name="create: run_kubectl_create_kustomization_directory_tests")
def test_create_kustomization(cmd):
    cmd.has_not("configmaps", "test-the-map")
    cmd.lists("deployment")
    cmd.lists("services")
    cmd("create", "-k", cmd.at("kustomize"))
    cmd.shows("configmap test-the-map", "{{.data.key}}", "value")
    cmd.lists("deployment", "test-the-deployment")
    cmd.lists("services", "test-the-service")
    cmd("delete", "-k", cmd.at("kustomize"))


@case(name="create: run_kubectl_create_validate_tests")
def test_create_validate(cmd):
    create = ("create", "-f", cmd.file("invalid.yaml", INVALID))
    for flags in (("--validate",), ("--validate=true",), ("--validate=strict",), ()):
        said = cmd.fails(*create, *flags)
        assert "strict decoding error" in said or "error validating data" in said
    for value in ("false", "warn", "ignore"):
        assert "deployment.apps/invalid created" in cmd(*create, f"--validate={value}")
        cmd("delete", "deployment", "invalid")
    assert 'invalid - validate option "foo"' in cmd.fails(*create, "--validate=foo")
