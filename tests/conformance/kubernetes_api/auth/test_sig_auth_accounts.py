"""Service accounts, their tokens and who is who, as upstream's sig-auth cases have them."""

import contextlib
import itertools
import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

ACCOUNTS, MAPS, PODS = kinds.SERVICE_ACCOUNTS, kinds.CONFIG_MAPS, kinds.PODS
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
ROOT_CA = "kube-root-ca.crt"
EXTRA = "authentication.kubernetes.io/"


def case(name: str, what: str = "ServiceAccounts") -> pytest.MarkDecorator:
    full = f"{what} {name}"
    return pytest.mark.conformance("kubernetes-api", group="sig-auth", name=full)


def account(name: str, **fields: Any) -> Any:
    return {"metadata": {"name": name}, **fields}


def review(api: Any, token: str) -> Any:
    return api.create(kinds.TOKEN_REVIEWS, {"metadata": {}, "spec": {"token": token}})["status"]


def whoami(api: Any) -> Any:
    return api.create(kinds.SELF_SUBJECT_REVIEWS, {"metadata": {}})["status"]["userInfo"]


def projected(audience: str | None = None) -> Any:
    token = {"path": "token", "expirationSeconds": 3600}
    if audience:
        token["audience"] = audience
    return {"name": "test", "projected": {"sources": [{"serviceAccountToken": token}]}}


@case("no secret-based service account token should be auto-generated")
@pytest.mark.xfail(
    strict=True,
    reason="on purpose: `default` gets a token Secret as before Kubernetes 1.24, unless the setting "
    "legacy_service_account_tokens is off",
)
def test_no_secrets(api: Any, namespace: str) -> None:
    def made() -> Any:
        return api.names(kinds.SECRETS, namespace)

    with contextlib.suppress(AssertionError):
        eventually(made)
    assert not made()
    assert not api.get(ACCOUNTS, "default", namespace).get("secrets")


@case("should mount an API token into pods")
def test_mounted_token(api: Any, kubectl: Any, namespace: str) -> None:
    api.create(ACCOUNTS, account("mount-test"), namespace)
    api.create(PODS, builders.pod("p", serviceAccountName="mount-test", namespace=namespace))
    kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=90s")
    pod = api.get(PODS, "p", namespace)
    node = api.get(kinds.NODES, pod["spec"]["nodeName"])
    token, authority, where = (
        kubectl("exec", "p", "--", "cat", f"{MOUNT}/{name}").out
        for name in ("token", "ca.crt", "namespace")
    )
    assert authority == api.get(MAPS, ROOT_CA, namespace)["data"]["ca.crt"]
    assert where == namespace
    status = review(api, token)
    assert status["authenticated"]
    user = status["user"]
    assert user["username"] == f"system:serviceaccount:{namespace}:mount-test"
    groups = {f"system:{name}" for name in ("authenticated", "serviceaccounts")}
    assert groups | {f"system:serviceaccounts:{namespace}"} <= set(user["groups"])
    [credential] = user["extra"][f"{EXTRA}credential-id"]
    assert credential.startswith("JTI=")
    found = {name: user["extra"][f"{EXTRA}{name}"] for name in ("pod-name", "pod-uid")}
    assert found == {"pod-name": ["p"], "pod-uid": [pod["metadata"]["uid"]]}
    found = {name: user["extra"][f"{EXTRA}{name}"] for name in ("node-name", "node-uid")}
    assert found == {
        "node-name": [node["metadata"]["name"]],
        "node-uid": [node["metadata"]["uid"]],
    }


@case("should allow opting out of API token automount")
def test_automount(api: Any, namespace: str) -> None:
    api.create(ACCOUNTS, account("mount", automountServiceAccountToken=True), namespace)
    api.create(ACCOUNTS, account("nomount", automountServiceAccountToken=False), namespace)
    names = ("default", "mount", "nomount")
    for number, (name, wish) in enumerate(itertools.product(names, (None, True, False))):
        fields: dict[str, Any] = {}
        if wish is not None:
            fields["automountServiceAccountToken"] = wish
        made = builders.pod(f"p-{number}", serviceAccountName=name, namespace=namespace, **fields)
        pod = api.create(PODS, made)
        mounts = pod["spec"]["containers"][0].get("volumeMounts", [])
        expected = wish if wish is not None else name != "nomount"
        assert (MOUNT in [one["mountPath"] for one in mounts]) == expected, (name, wish)


@case("should mount projected service account token")
def test_projected(api: Any, kubectl: Any, namespace: str) -> None:
    mounts = [{"name": "test", "mountPath": "/test-volume", "readOnly": True}]
    container = builders.container(script="cat /test-volume/token", volumeMounts=mounts)
    volumes = [projected()]
    api.create(
        PODS, builders.pod("p", namespace=namespace, containers=[container], volumes=volumes)
    )
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/p", "--timeout=90s")
    assert review(api, kubectl("logs", "p").out)["authenticated"]


SEEN = "stat -L -c '%A %u %g' /test-volume/token; head -c 3 /test-volume/token"


@pytest.mark.skipif(not Path("/proc/self/ns/mnt").exists(), reason="needs Linux")
@case("should set ownership and permission when RunAsUser or FsGroup is present [LinuxOnly]")
def test_ownership(api: Any, kubectl: Any, namespace: str) -> None:
    wanted = {
        "user": ({"runAsUser": 1000}, "-rw------- 1000 0"),
        "group": ({"fsGroup": 10000}, "-rw-r----- 0 10000"),
        "both": ({"runAsUser": 1000, "fsGroup": 10000}, "-rw-r----- 1000 10000"),
        "none": ({}, "-rw-r--r-- 0 0"),
    }
    mounts = [{"name": "test", "mountPath": "/test-volume", "readOnly": True}]
    for name, (context, _) in wanted.items():
        container = builders.container(script=SEEN, volumeMounts=mounts)
        fields: dict[str, Any] = {
            "containers": [container],
            "volumes": [projected()],
            "securityContext": context,
        }
        api.create(PODS, builders.pod(name, namespace=namespace, **fields))
    for name, (_, line) in wanted.items():
        kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=90s")
        assert kubectl("logs", name).lines == [line, "eyJ"], name


VALIDATE = """
import json, jwt, pathlib, ssl, urllib.request
mount = pathlib.Path("{mount}")
bearer = (mount / "token").read_text()
token = pathlib.Path("/tokens/token").read_text()
claims = jwt.decode(token, options={{"verify_signature": False}})
tls = ssl.create_default_context(cafile=str(mount / "ca.crt"))
def get(url):
    request = urllib.request.Request(url, headers={{"Authorization": f"Bearer {{bearer}}"}})
    return json.load(urllib.request.urlopen(request, context=tls, timeout=60))
found = get(claims["iss"] + "/.well-known/openid-configuration")
assert found["issuer"] == claims["iss"], found
keys = jwt.PyJWKSet.from_dict(get(found["jwks_uri"]))
key = keys[jwt.get_unverified_header(token)["kid"]]
jwt.decode(token, key, [key.algorithm_name], audience="{audience}", issuer=found["issuer"])
print("valid")
"""


@case("ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer")
def test_issuer_discovery(
    api: Any, kubectl: Any, namespace: str, unique: str, cleanup: contextlib.ExitStack
) -> None:
    role = "system:service-account-issuer-discovery"
    binding = {
        "metadata": {"name": unique},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
    }
    api.create(kinds.CLUSTER_ROLE_BINDINGS, binding)
    cleanup.callback(api.delete, kinds.CLUSTER_ROLE_BINDINGS, unique)
    # What checks the token must be there in the pod: the tests' own library, from where it is.
    library = Path(jwt.__file__).parents[1]
    script = VALIDATE.format(mount=MOUNT, audience="oidc-discovery-test")
    mounts = [{"name": "test", "mountPath": "/tokens", "readOnly": True}]
    env = [{"name": "PYTHONPATH", "value": str(library)}]
    container = builders.container(python=script, volumeMounts=mounts, env=env)
    volumes = [projected("oidc-discovery-test")]
    api.create(
        PODS, builders.pod("v", namespace=namespace, containers=[container], volumes=volumes)
    )

    def ended() -> Any:
        return api.get(PODS, "v", namespace)["status"].get("phase") in {"Succeeded", "Failed"}

    eventually(ended, what="the validator has ended")
    assert kubectl("logs", "v").lines == ["valid"]


@case("should run through the lifecycle of a ServiceAccount")
def test_lifecycle(api: Any, namespace: str) -> None:
    labels = {"test-serviceaccount-static": namespace}
    selector = f"test-serviceaccount-static={namespace}"
    with api.watch(ACCOUNTS, namespace, labelSelector=selector) as watch:
        made = {"metadata": {"name": "tested", "labels": labels}}
        created = api.create(ACCOUNTS, made, namespace)
        uid = created["metadata"]["uid"]
        assert api.get(ACCOUNTS, "tested", namespace)["metadata"]["uid"] == uid
        watch.until_type("ADDED")
        patch = {"automountServiceAccountToken": False}
        strategic = "application/strategic-merge-patch+json"
        api.patch(ACCOUNTS, "tested", patch, namespace, type_=strategic)
        watch.until_type("MODIFIED")
        [found] = api.items(ACCOUNTS, labelSelector=selector)
        assert found["automountServiceAccountToken"] is False
        api.delete_collection(ACCOUNTS, namespace)
        watch.until_type("DELETED")


@case("should update a ServiceAccount")
def test_update(api: Any, namespace: str) -> None:
    made = account("tested", automountServiceAccountToken=False)
    created = api.create(ACCOUNTS, made, namespace)
    created["automountServiceAccountToken"] = True
    assert api.update(ACCOUNTS, created)["automountServiceAccountToken"] is True
    assert api.get(ACCOUNTS, "tested", namespace)["automountServiceAccountToken"] is True


@case("should guarantee kube-root-ca.crt exist in any namespace")
def test_root_ca(api: Any, namespace: str) -> None:
    made = eventually(lambda: api.find(MAPS, ROOT_CA, namespace))
    api.delete(MAPS, ROOT_CA, namespace)
    again = eventually(lambda: api.find(MAPS, ROOT_CA, namespace))
    assert again["metadata"]["uid"] != made["metadata"]["uid"]
    api.update(
        MAPS, {"metadata": {"name": ROOT_CA, "namespace": namespace}, "data": {"ca.crt": ""}}
    )
    eventually(
        lambda: api.get(MAPS, ROOT_CA, namespace)["data"].get("ca.crt") == made["data"]["ca.crt"],
        what="its content is mended",
    )


@case("should support SubjectReview API operations", "SubjectReview")
def test_subject_reviews(api: Any, namespace: str) -> None:
    uid = api.create(ACCOUNTS, account("e2e"), namespace)["metadata"]["uid"]
    user = f"system:serviceaccount:{namespace}:e2e"
    groups = [
        "system:authenticated",
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
    ]
    asked = {"verb": "list", "resource": "configmaps", "namespace": namespace, "version": "v1"}
    spec = {"resourceAttributes": asked, "user": user, "groups": groups, "uid": uid}
    impersonated = api.with_headers(Impersonate_User=user, Impersonate_Uid=uid)

    def answers() -> set[bool]:
        whole = api.create(kinds.SUBJECT_ACCESS_REVIEWS, {"metadata": {}, "spec": spec})
        local = api.create(
            kinds.LOCAL_SUBJECT_ACCESS_REVIEWS, {"metadata": {}, "spec": spec}, namespace
        )
        tried = impersonated.call("GET", MAPS.path(namespace)).code
        assert tried in {200, 403}
        return {whole["status"]["allowed"], local["status"]["allowed"], tried == 200}

    assert answers() == {False}
    binding = {
        "metadata": {"name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "e2e", "namespace": namespace}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    }
    api.create(kinds.ROLE_BINDINGS, binding, namespace)
    eventually(lambda: answers() == {True}, what="all say that it is allowed")


@case("should support SelfSubjectReview API operations", "SelfSubjectReview")
def test_self_subject_review(api: Any) -> None:
    headers = {
        "Impersonate-User": "jane-doe",
        "Impersonate-Uid": "uniq-id",
        "Impersonate-Group": "developers",
        "Impersonate-Extra-Known-Languages": "python",
    }
    path = kinds.SELF_SUBJECT_REVIEWS.path()
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    found = json.loads(api.call("POST", path, body, headers=headers).text)["status"]["userInfo"]
    assert (found["username"], found["uid"]) == ("jane-doe", "uniq-id")
    assert set(found["groups"]) == {"developers", "system:authenticated"}
    assert found["extra"]["known-languages"] == ["python"]


@case("testing SSR in different API groups authentication/v1", "SelfSubjectReview")
def test_self_subject_review_is_found(api: Any) -> None:
    group = api.ask("GET", "/apis/authentication.k8s.io")
    assert "v1" in [one["version"] for one in group["versions"]]
    served = api.ask("GET", "/apis/authentication.k8s.io/v1")["resources"]
    assert "selfsubjectreviews" in [one["name"] for one in served]


NODE_NAME = "'authentication.kubernetes.io/node-name'"


@case("can restrict access by-node", "ValidatingAdmissionPolicy")
def test_by_node(
    api: Any, kubectl: Any, namespace: str, unique: str, refused: Any, cleanup: contextlib.ExitStack
) -> None:
    account_name = f"system:serviceaccount:{namespace}:default"
    policies, bindings = (
        kinds.VALIDATING_ADMISSION_POLICIES,
        kinds.VALIDATING_ADMISSION_POLICY_BINDINGS,
    )
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE", "DELETE"],
        "resources": ["configmaps"],
    }
    where = "(request.operation == 'DELETE' ? oldObject : object).metadata.name"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [
            {"name": "account", "expression": f"request.userInfo.username == '{account_name}'"}
        ],
        "variables": [
            {
                "name": "node",
                "expression": f"{NODE_NAME} in request.userInfo.extra ? request.userInfo.extra[{NODE_NAME}][0] : ''",
            },
            {"name": "object", "expression": where},
        ],
        "validations": [
            {"expression": "variables.node != ''", "message": "no node association found"},
            {
                "expression": "variables.object == variables.node",
                "messageExpression": "'may not modify ' + variables.object + ' from ' + variables.node",
            },
        ],
    }
    api.create(policies, {"metadata": {"name": unique}, "spec": spec})
    cleanup.callback(api.delete, policies, unique)
    bound = {"policyName": unique, "validationActions": ["Deny"]}
    api.create(bindings, {"metadata": {"name": unique}, "spec": bound})
    cleanup.callback(api.delete, bindings, unique)
    kubectl(
        "create",
        "rolebinding",
        "edit",
        "--clusterrole=edit",
        f"--serviceaccount={namespace}:default",
    )
    api.create(PODS, builders.pod("p", namespace=namespace))
    kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=90s")
    node = api.get(PODS, "p", namespace)["spec"]["nodeName"]
    inside = api.with_token(kubectl("exec", "p", "--", "cat", f"{MOUNT}/token").out)
    assert whoami(inside)["extra"][f"{EXTRA}node-name"] == [node]
    allowed, other = (builders.config_map(name, namespace=namespace) for name in (node, "other"))

    def denied() -> bool:
        return bool(inside.call("POST", MAPS.path(namespace) + "?dryRun=All", other).code == 422)

    eventually(denied, what="the policy is heeded")
    inside.create(MAPS, allowed)
    with refused(422, "", "may not modify other"):
        inside.create(MAPS, other)
    api.create(MAPS, other)
    with refused(422, "", "may not modify other"):
        inside.delete(MAPS, "other", namespace)
    inside.delete(MAPS, node, namespace)
    token = kubectl("create", "token", "default").out.strip()
    outside = api.with_token(token)
    assert f"{EXTRA}node-name" not in whoami(outside).get("extra", {})
    with refused(422, "", "no node association found"):
        outside.create(MAPS, allowed)
