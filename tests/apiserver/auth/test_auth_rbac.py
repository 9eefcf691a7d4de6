"""Roles and bindings against a naive evaluator, over generated rules and requests."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.apiserver.authorization import RoleAuthorizer
from wherry.apiserver.identity import Attributes, User
from wherry.objects import kinds
from wherry.objects.requests import Object

GROUP = kinds.ROLES.group
NAMESPACES = ("a", "b")
ROLE_NAMES = ("r1", "r2", "r3")
USERS = (
    User("ada", groups=("devs", "system:authenticated")),
    User("bob", groups=("system:authenticated",)),
    User("devs", groups=()),
    User("system:serviceaccount:a:robot", groups=("system:serviceaccounts:a",)),
    User("system:serviceaccount:b:robot", groups=("system:serviceaccounts:b",)),
)


class Roles:
    """A source of roles that is changed by hand."""

    def __init__(self, **objects: Sequence[Object]) -> None:
        self.objects: dict[str, list[Object]] = defaultdict(list)
        for name, values in objects.items():
            self.objects[getattr(kinds, name.upper()).key] += values
        self.number = 0

    def revision(self) -> int:
        return self.number

    def list(self, resource: str) -> Sequence[Object]:
        return self.objects[resource]


# The naive evaluator: what the documentation says, without sets, indexes or memory.


def naive(source: Roles, asked: Attributes) -> bool:
    bindings = [(each, "") for each in source.list(kinds.CLUSTER_ROLE_BINDINGS.key)]
    bindings += [
        (each, each["metadata"]["namespace"]) for each in source.list(kinds.ROLE_BINDINGS.key)
    ]
    for binding, namespace in bindings:
        if namespace and (namespace != asked.namespace):
            continue
        if not any(naive_subject(each, asked.user, namespace) for each in binding["subjects"]):
            continue
        for rule in naive_rules(source, binding["roleRef"], namespace):
            if naive_rule(rule, asked):
                return True
    return False


def naive_subject(subject: Object, user: User, namespace: str) -> bool:
    if subject["kind"] == "User":
        return bool(subject["name"] == user.name)
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    home = subject.get("namespace") or namespace
    return bool(user.name == f"system:serviceaccount:{home}:{subject['name']}")


def naive_rules(source: Roles, reference: Object, namespace: str) -> Iterable[Object]:
    if reference["kind"] == "Role":
        for role in source.list(kinds.ROLES.key):
            place = (role["metadata"]["namespace"], role["metadata"]["name"])
            if place == (namespace, reference["name"]):
                yield from role["rules"]
        return
    roles = {each["metadata"]["name"]: each for each in source.list(kinds.CLUSTER_ROLES.key)}
    reached = {reference["name"]} & set(roles)
    while True:
        more = {
            name
            for name, role in roles.items()
            for other in reached
            for selector in (roles[other].get("aggregationRule") or {}).get(
                "clusterRoleSelectors", ()
            )
            if all(
                role["metadata"].get("labels", {}).get(key) == value
                for key, value in selector["matchLabels"].items()
            )
        }
        if more <= reached:
            break
        reached |= more
    for name in reached:
        yield from roles[name]["rules"]


def naive_rule(rule: Object, asked: Attributes) -> bool:
    if not any(verb in {"*", asked.verb} for verb in rule["verbs"]):
        return False
    if asked.path:
        return any(
            path in {"*", asked.path} or (path.endswith("*") and asked.path.startswith(path[:-1]))
            for path in rule.get("nonResourceURLs", ())
        )
    if not any(group in {"*", asked.group} for group in rule.get("apiGroups", ())):
        return False
    names = rule.get("resourceNames", ())
    if names and asked.name not in names:
        return False
    wanted = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    accepted = {"*", wanted} | ({f"*/{asked.subresource}"} if asked.subresource else set())
    return any(resource in accepted for resource in rule.get("resources", ()))


def some(values: Sequence[str], most: int = 2) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


VERBS = ("get", "list", "create", "impersonate")
GROUPS = ("", "apps")
RESOURCES = ("pods", "secrets", "namespaces")
SUBRESOURCES = ("", "log", "status")
NAMES = ("", "x", "y", "a")
PATHS = ("/metrics", "/healthz", "/healthz/etcd", "/api/v1", "/")

resource_rules = st.fixed_dictionaries(
    {
        "verbs": some((*VERBS, "*")),
        "apiGroups": some((*GROUPS, "*")),
        "resources": some((*RESOURCES, "*", "pods/log", "*/status", "secrets/*", "*/*")),
    },
    optional={"resourceNames": some(("x", "y", "a"))},
)
path_rules = st.fixed_dictionaries(
    {
        "verbs": some((*VERBS, "*")),
        "nonResourceURLs": some((*PATHS, "*", "/healthz*", "/healthz/*", "/api*")),
    }
)
subjects = st.lists(
    st.one_of(
        st.sampled_from(["ada", "bob", "devs", "system:serviceaccount:a:robot"]).map(
            lambda name: {"kind": "User", "name": name}
        ),
        st.sampled_from(["devs", "ada", "system:authenticated", "system:serviceaccounts:b"]).map(
            lambda name: {"kind": "Group", "name": name}
        ),
        st.sampled_from([{}, {"namespace": "a"}, {"namespace": "b"}]).map(
            lambda more: {"kind": "ServiceAccount", "name": "robot", **more}
        ),
    ),
    max_size=2,
)


@st.composite
def sources(draw: st.DrawFn) -> Roles:
    labels = st.dictionaries(st.sampled_from(["l", "m"]), st.just("true"))
    cluster_rules = st.lists(st.one_of(resource_rules, path_rules), max_size=2)
    cluster_roles = []
    for name in ROLE_NAMES:
        role: Object = {
            "metadata": {"name": name, "labels": draw(labels)},
            "rules": draw(cluster_rules),
        }
        if chosen := draw(labels):
            role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": chosen}]}
        cluster_roles.append(role)
    roles = [
        {
            "metadata": {"name": name, "namespace": namespace},
            "rules": draw(st.lists(resource_rules, max_size=2)),
        }
        for name, namespace in itertools.product(ROLE_NAMES[:2], NAMESPACES)
    ]
    names = st.sampled_from((*ROLE_NAMES, "missing"))
    places = st.lists(
        st.tuples(
            st.sampled_from(["", *NAMESPACES]),
            st.sampled_from(["Role", "ClusterRole"]),
            names,
            subjects,
        ),
        min_size=1,
        max_size=3,
    )
    bindings: dict[bool, list[Object]] = {True: [], False: []}
    for index, (namespace, kind, name, who) in enumerate(draw(places)):
        metadata = {"name": f"b{index}"} | ({"namespace": namespace} if namespace else {})
        reference = {"kind": kind if namespace else "ClusterRole", "name": name}
        binding = {"metadata": metadata, "roleRef": reference, "subjects": who}
        bindings[bool(namespace)].append(binding)
    return Roles(
        cluster_roles=cluster_roles,
        roles=roles,
        cluster_role_bindings=bindings[False],
        role_bindings=bindings[True],
    )


REQUESTS = [
    Attributes(
        user,
        verb,
        group=group,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
    )
    for user, verb, group, resource, subresource, namespace, name in itertools.product(
        USERS,
        VERBS[:3],
        GROUPS,
        RESOURCES[:2],
        SUBRESOURCES,
        ("", *NAMESPACES),
        NAMES[:3],
    )
] + [
    Attributes(user, verb, path=path) for user, verb, path in itertools.product(USERS, VERBS, PATHS)
]


@given(sources(), st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_decisions_are_those_of_the_naive_evaluator(source: Roles, data: st.DataObject) -> None:
    authorizer = RoleAuthorizer(source)
    start = data.draw(st.integers(0, 6))
    for asked in REQUESTS[start::7]:
        assert authorizer.authorize(asked).allowed is naive(source, asked), asked
        # Once more, remembered.
        assert authorizer.authorize(asked).allowed is naive(source, asked), asked


def rule(verbs: str, resources: str, groups: str = "*", **more: Any) -> Object:
    return {
        "verbs": verbs.split(),
        "resources": resources.split(),
        "apiGroups": groups.split(),
        **more,
    }


def role(name: str, *rules: Object, namespace: str = "", **more: Any) -> Object:
    metadata: Object = {"name": name} | ({"namespace": namespace} if namespace else {})
    metadata |= {"labels": more.pop("labels", {})}
    return {"metadata": metadata, "rules": list(rules), **more}


def binding(
    role_name: str, kind: str = "ClusterRole", namespace: str = "", **subject: str
) -> Object:
    metadata = {"name": "b"} | ({"namespace": namespace} if namespace else {})
    who = subject or {"kind": "User", "name": "ada"}
    return {
        "metadata": metadata,
        "roleRef": {"kind": kind, "name": role_name, "apiGroup": GROUP},
        "subjects": [who],
    }


def ask(verb: str, resource: str, namespace: str = "a", name: str = "") -> Attributes:
    plural, _, subresource = resource.partition("/")
    return Attributes(
        USERS[0], verb, resource=plural, subresource=subresource, namespace=namespace, name=name
    )


def test_a_role_binding_confines_a_cluster_role() -> None:
    source = Roles(
        cluster_roles=[role("r", rule("get", "pods nodes"))],
        role_bindings=[binding("r", namespace="a")],
    )
    authorizer = RoleAuthorizer(source)
    assert authorizer.authorize(ask("get", "pods", "a")).allowed
    assert not authorizer.authorize(ask("get", "pods", "b")).allowed
    assert not authorizer.authorize(ask("get", "pods", "")).allowed
    assert not authorizer.authorize(ask("get", "nodes", "")).allowed


def test_what_binds_a_role_of_another_namespace_grants_nothing() -> None:
    source = Roles(
        roles=[role("r", rule("get", "pods"), namespace="b")],
        role_bindings=[binding("r", "Role", namespace="a")],
        cluster_role_bindings=[binding("r", "Role")],
    )
    authorizer = RoleAuthorizer(source)
    assert not authorizer.authorize(ask("get", "pods", "a")).allowed
    assert not authorizer.authorize(ask("get", "pods", "b")).allowed


def test_names_do_not_allow_to_list_or_create() -> None:
    source = Roles(
        cluster_roles=[role("r", rule("*", "secrets", resourceNames=["x"]))],
        cluster_role_bindings=[binding("r")],
    )
    authorizer = RoleAuthorizer(source)
    assert authorizer.authorize(ask("get", "secrets", name="x")).allowed
    assert not authorizer.authorize(ask("get", "secrets", name="y")).allowed
    for verb in ("list", "create", "deletecollection", "watch"):
        assert not authorizer.authorize(ask(verb, "secrets")).allowed


def test_subresources_are_resources_of_their_own() -> None:
    source = Roles(
        cluster_roles=[role("r", rule("get", "pods */status"))],
        cluster_role_bindings=[binding("r")],
    )
    authorizer = RoleAuthorizer(source)
    assert not authorizer.authorize(ask("get", "pods/log")).allowed
    assert authorizer.authorize(ask("get", "deployments/status")).allowed
    assert not authorizer.authorize(ask("get", "deployments")).allowed


def test_reasons_are_upstreams() -> None:
    robot = User("system:serviceaccount:a:robot")
    source = Roles(
        cluster_roles=[role("r", rule("get", "pods"))],
        cluster_role_bindings=[binding("r", kind="ClusterRole")],
        role_bindings=[
            {
                **binding("r", namespace="a"),
                "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "a"}],
            }
        ],
    )
    authorizer = RoleAuthorizer(source)
    assert authorizer.authorize(ask("get", "pods")).reason == (
        'RBAC: allowed by ClusterRoleBinding "b" of ClusterRole "r" to User "ada"'
    )
    assert authorizer.authorize(
        Attributes(robot, "get", resource="pods", namespace="a")
    ).reason == (
        'RBAC: allowed by RoleBinding "b/a" of ClusterRole "r" to ServiceAccount "robot/a"'
    )


def test_changes_count_at_once() -> None:
    source = Roles(
        cluster_roles=[role("r", rule("get", "pods"))], cluster_role_bindings=[binding("r")]
    )
    authorizer = RoleAuthorizer(source)
    assert authorizer.authorize(ask("get", "pods")).allowed
    source.objects[kinds.CLUSTER_ROLE_BINDINGS.key].clear()
    source.number += 1
    assert not authorizer.authorize(ask("get", "pods")).allowed


def test_aggregated_roles_that_aggregate_one_another_end() -> None:
    chosen: dict[str, Any] = {
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"l": "true"}}]}
    }
    source = Roles(
        cluster_roles=[
            role("one", rule("get", "pods"), labels={"l": "true"}, **chosen),
            role("two", rule("get", "secrets"), labels={"l": "true"}, **chosen),
        ],
        cluster_role_bindings=[binding("one")],
    )
    authorizer = RoleAuthorizer(source)
    assert authorizer.authorize(ask("get", "pods")).allowed
    assert authorizer.authorize(ask("get", "secrets")).allowed


@pytest.mark.parametrize(
    "broken",
    [
        {"metadata": {"name": "x"}},
        {"metadata": {"name": "x"}, "roleRef": None, "subjects": None},
        {**binding("r"), "subjects": [{}, {"kind": "User"}, {"kind": "Robot", "name": "ada"}]},
        {**binding("r"), "subjects": [{"kind": "ServiceAccount", "name": "robot"}]},
    ],
)
def test_a_broken_binding_does_not_take_the_others_with_it(broken: Object) -> None:
    selector = {"matchExpressions": [{"key": "l", "operator": "Likes"}]}
    source = Roles(
        cluster_roles=[
            role("r", rule("get", "pods")),
            role("odd", aggregationRule={"clusterRoleSelectors": [selector]}),
        ],
        cluster_role_bindings=[broken, binding("r")],
    )
    assert RoleAuthorizer(source).authorize(ask("get", "pods")).allowed


def test_what_callers_choose_does_not_fill_the_memory() -> None:
    authorizer = RoleAuthorizer(Roles())
    for number in range(50):
        authorizer.authorize(ask("get", "pods", name=f"{number}" + "x" * 10_000))
    assert len(authorizer._decisions) == 0


def test_masters_may_do_anything() -> None:
    admin = User("x", groups=("system:masters",))
    assert RoleAuthorizer(Roles()).authorize(Attributes(admin, "x", resource="y")).allowed
