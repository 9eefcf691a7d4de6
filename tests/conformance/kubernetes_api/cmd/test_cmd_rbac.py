"""Roles and bindings, made and extended by commands."""

import functools

import pytest

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="test/cmd")

RULES = "{{range .rules}}{{range .%s}}{{.}}:{{end}}{{end}}"


def rules(cmd, role, **expected):
    for field, values in expected.items():
        cmd.shows(role, RULES % field, values)


def subjects(cmd, binding, names, namespaces=""):
    cmd.shows(binding, "{{range .subjects}}{{.name}}:{{end}}", names)
    if namespaces:
        cmd.shows(binding, "{{range .subjects}}{{.namespace}}:{{end}}", namespaces)


@pytest.fixture
def cluster(cmd):
    """Delete what a case made for the whole cluster."""
    made: list[tuple[str, str]] = []
    yield made
    for kind, name in made:
        cmd("delete", kind, name, "--ignore-not-found")


@case(name="rbac: run_clusterroles_tests")
@pytest.mark.slow
def test_cluster_roles(cmd, cluster):
    cmd.shows("clusterroles/cluster-admin", "{{.metadata.name}}", "cluster-admin")
    cmd.shows("clusterrolebindings/cluster-admin", "{{.metadata.name}}", "cluster-admin")
    creates_cluster_roles(cmd, cluster)
    creates_cluster_bindings(cmd, cluster)
    creates_bindings(cmd)


def creates_cluster_roles(cmd, cluster):
    def create(name, *flags):
        cluster.append(("clusterrole", name))
        cmd("create", "clusterrole", name, *flags)
        return f"clusterrole/{name}"

    create("pod-admin", "--verb=*", "--resource=pods")
    said = cmd("delete", "clusterrole", "pod-admin", "-n", cmd.namespace)
    assert "deleting cluster-scoped resources" in said
    assert 'clusterrole.rbac.authorization.k8s.io "pod-admin" deleted' in said
    made = create("pod-admin", "--verb=*", "--resource=pods")
    rules(cmd, made, verbs="*:", resources="pods:", apiGroups=":")
    made = create("resource-reader", "--verb=get,list", "--resource=pods,deployments.apps")
    rules(cmd, made, verbs="get:list:get:list:", resources="pods:deployments:", apiGroups=":apps:")
    made = create("name-reader", "--verb=get,list", "--resource=pods", "--resource-name=foo")
    rules(cmd, made, verbs="get:list:", resources="pods:", apiGroups=":", resourceNames="foo:")
    urls = ("--non-resource-url=/logs/*", "--non-resource-url=/healthz/*")
    made = create("url-reader", "--verb=get", *urls)
    rules(cmd, made, verbs="get:", nonResourceURLs="/logs/*:/healthz/*:")
    made = create("aggregation-reader", "--aggregation-rule=foo1=foo2")
    cmd.shows(made, "{{.metadata.name}}", "aggregation-reader")


def creates_cluster_bindings(cmd, cluster):
    def create(name, *flags):
        cluster.append(("clusterrolebinding", name))
        cmd("create", "clusterrolebinding", name, "--clusterrole=admin", *flags)
        return f"clusterrolebinding/{name}"

    add = ("set", "subject", "clusterrolebinding")
    user = create("super-admin", "--user=super-admin")
    subjects(cmd, user, "super-admin:")
    cmd(*add, "super-admin", "--user=foo")
    subjects(cmd, user, "super-admin:foo:")
    subjects(cmd, create("users", "--user=user-1", "--user=user-2"), "user-1:user-2:")
    group = create("super-group", "--group=the-group")
    subjects(cmd, group, "the-group:")
    cmd(*add, "super-group", "--group=foo")
    subjects(cmd, group, "the-group:foo:")
    subjects(cmd, create("groups", "--group=group-1", "--group=group-2"), "group-1:group-2:")
    account = create("super-sa", "--serviceaccount=otherns:sa-name")
    subjects(cmd, account, "sa-name:", "otherns:")
    cmd(*add, "super-sa", "--serviceaccount=otherfoo:foo")
    subjects(cmd, account, "sa-name:foo:", "otherns:otherfoo:")
    before = cmd.out("get", "clusterrolebindings", "-o", "json")
    try:
        cmd(*add, "--all", "--user=test-all-user")
        subjects(cmd, user, "super-admin:foo:test-all-user:")
        subjects(cmd, group, "the-group:foo:test-all-user:")
        subjects(cmd, account, "sa-name:foo:test-all-user:")
    finally:
        # Other cases have a use for the bindings that the cluster came with.
        cmd("replace", "--force", "-f", "-", text=before)


def creates_bindings(cmd):
    add = ("set", "subject", "rolebinding")
    cmd("create", "rolebinding", "admin", "--clusterrole=admin", "--user=default-admin")
    cmd.shows("rolebinding/admin", "{{.roleRef.kind}}", "ClusterRole")
    subjects(cmd, "rolebinding/admin", "default-admin:")
    cmd(*add, "admin", "--user=foo")
    subjects(cmd, "rolebinding/admin", "default-admin:foo:")
    cmd("create", "rolebinding", "local", "--role=local", "--group=the-group")
    cmd.shows("rolebinding/local", "{{.roleRef.kind}}", "Role")
    subjects(cmd, "rolebinding/local", "the-group:")
    cmd(*add, "local", "--group=foo")
    subjects(cmd, "rolebinding/local", "the-group:foo:")
    cmd("create", "rolebinding", "robots", "--role=local", "--serviceaccount=otherns:sa-name")
    subjects(cmd, "rolebinding/robots", "sa-name:", "otherns:")
    cmd(*add, "robots", "--serviceaccount=otherfoo:foo")
    subjects(cmd, "rolebinding/robots", "sa-name:foo:", "otherns:otherfoo:")
    cmd(*add, "--all", "--user=all")
    subjects(cmd, "rolebinding/admin", "default-admin:foo:all:")
    subjects(cmd, "rolebinding/local", "the-group:foo:all:")
    subjects(cmd, "rolebinding/robots", "sa-name:foo:all:")


@case(name="rbac: run_role_tests")
@pytest.mark.slow
def test_roles(cmd):
    def create(name, resource, *flags):
        cmd("create", "role", name, "--verb=get,list", f"--resource={resource}", *flags)
        return f"role/{name}"

    cmd("create", "role", "pod-admin", "--verb=*", "--resource=pods")
    rules(cmd, "role/pod-admin", verbs="*:", resources="pods:", apiGroups=":")
    for resource, complaint in (
        ("nonsense", '"nonsense"'),
        ("deployments.nowhere", '"deployments" in group "nowhere"'),
        ("rs.nowhere/scale", '"rs" in group "nowhere"'),
    ):
        said = cmd.fails("create", "role", "bad", "--verb=get", f"--resource={resource}")
        assert f"the server doesn't have a resource type {complaint}" in said
    both = "get:list:"
    made = create("group-reader", "deployments.apps")
    rules(cmd, made, verbs=both, resources="deployments:", apiGroups="apps:")
    made = create("subresource-reader", "pods/status")
    rules(cmd, made, verbs=both, resources="pods/status:", apiGroups=":")
    made = create("group-subresource-reader", "replicasets.apps/scale")
    rules(cmd, made, verbs=both, resources="replicasets/scale:", apiGroups="apps:")
    made = create("name-reader", "pods", "--resource-name=foo")
    rules(cmd, made, verbs=both, resources="pods:", apiGroups=":", resourceNames="foo:")
    made = create("reader", "pods/status,deployments.apps")
    rules(cmd, made, verbs=both * 2, resources="pods/status:deployments:", apiGroups=":apps:")
