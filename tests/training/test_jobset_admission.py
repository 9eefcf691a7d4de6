"""Defaults and checks of JobSets, and where their Jobs are placed. Without an API."""

import copy

import pytest

from wherry.training.jobset import admission, build, job_set, labels


def replicated(name="a", *, job=None, pod=None, **fields):
    spec = {"containers": [{"name": "main", "image": "i"}], **(pod or {})}
    template = {"spec": {"completions": 2, **(job or {}), "template": {"spec": spec}}}
    return {"name": name, "replicas": 1, "groupName": "default", "template": template, **fields}


def given(*jobs, name="s", **spec):
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": name, "namespace": "ns", "uid": "u"},
        "spec": {"replicatedJobs": [*(jobs or [replicated()])], **spec},
    }


def problems(obj, old=None):
    before = admission.default(old) if old is not None else None
    found = admission.validate(admission.default(obj), before)
    return {cause.field: cause.message for cause in found}


def test_what_the_user_leaves_out_is_filled_in():
    written = given(
        failurePolicy={"rules": [{"action": "FailJobSet"}]},
        volumeClaimPolicies=[{"templates": []}],
    )
    before = copy.deepcopy(written)
    spec = admission.default(written)["spec"]
    assert written == before
    assert admission.default({**written, "spec": spec})["spec"] == spec
    assert spec["successPolicy"] == {"operator": "All"}
    assert spec["startupPolicy"] == {"startupPolicyOrder": "AnyOrder"}
    assert spec["network"] == {"enableDNSHostnames": True, "publishNotReadyAddresses": True}
    assert spec["failurePolicy"]["rules"][0]["name"] == "failurePolicyRule0"
    assert spec["volumeClaimPolicies"][0]["retentionPolicy"] == {"whenDeleted": "Delete"}
    job = spec["replicatedJobs"][0]["template"]["spec"]
    assert job["completionMode"] == "Indexed"
    assert job["template"]["spec"]["restartPolicy"] == "OnFailure"


CLAIM = {"metadata": {"name": "data"}, "spec": {}}


@pytest.mark.parametrize(
    ("spec", "field", "part"),
    [
        ({"network": {"subdomain": "A"}}, "spec.network.subdomain", "RFC 1035"),
        ({"managedBy": "me"}, "spec.managedBy", "example.com/name"),
        ({"managedBy": f"a.b/{'x' * 63}"}, "spec.managedBy", "63"),
        (
            {"successPolicy": {"operator": "All", "targetReplicatedJobs": ["x"]}},
            "spec.successPolicy.targetReplicatedJobs",
            "there is a",
        ),
        ({"coordinator": {"replicatedJob": "x"}}, "spec.coordinator.replicatedJob", "there is a"),
        (
            {"coordinator": {"replicatedJob": "a", "jobIndex": 1}},
            "spec.coordinator.jobIndex",
            "1 replicas",
        ),
        (
            {"coordinator": {"replicatedJob": "a", "podIndex": 2}},
            "spec.coordinator.podIndex",
            "2 completions",
        ),
        (
            {"volumeClaimPolicies": [{"templates": [CLAIM]}]},
            "spec.volumeClaimPolicies[0].templates[0].metadata.name",
            "no container",
        ),
    ],
)
def test_what_is_wrong_is_named(spec, field, part):
    assert part in problems(given(**spec))[field]


@pytest.mark.parametrize(
    ("rule", "field", "part"),
    [
        ({"name": "1"}, "name", "start with a letter"),
        ({"targetReplicatedJobs": ["x"]}, "targetReplicatedJobs", "no such replicated job"),
        ({"onJobFailureReasons": ["Bad"]}, "onJobFailureReasons", "BackoffLimitExceeded"),
        ({"onJobFailureMessagePatterns": ["("]}, "onJobFailureMessagePatterns", "no regular"),
        ({"onJobFailureMessagePatterns": ["x" * 513]}, "onJobFailureMessagePatterns", "longer"),
    ],
)
def test_wrong_rules_are_named(rule, field, part):
    policy = {"rules": [{"action": "FailJobSet", **rule}]}
    assert part in problems(given(failurePolicy=policy))[f"spec.failurePolicy.rules[0].{field}"]


def test_names_and_numbers_have_to_fit():
    assert "63" in problems(given(name="s" * 60))["spec.replicatedJobs[0].name"]
    many = replicated(replicas=2**20, job={"parallelism": 2**12})
    assert "too many" in problems(given(many))["spec.replicatedJobs[0].replicas"]
    order = {"startupPolicyOrder": "InOrder"}
    after = replicated("b", dependsOn=[{"name": "a", "status": "Ready"}])
    found = problems(given(replicated(), after, startupPolicy=order))
    assert "dependsOn" in found["spec.startupPolicy.startupPolicyOrder"]


def test_only_what_places_pods_may_change_and_only_while_suspended():
    placed = replicated(pod={"nodeSelector": {"a": "b"}})
    assert "spec.replicatedJobs[0]" in problems(given(placed), given())
    assert problems(given(placed), given(suspend=True)) == {}
    assert problems(given(placed, suspend=True), given()) == {}
    other = replicated(pod={"hostNetwork": True})
    assert "spec.replicatedJobs[0]" in problems(given(other), given(suspend=True))
    assert "spec.replicatedJobs" in problems(given(replicated("x")), given())
    assert "spec.successPolicy" in problems(given(successPolicy={"operator": "Any"}), given())


def job(obj):
    read = job_set.read(admission.default(obj))
    return build.job(next(read.children(read.spec.replicated_jobs[0])))


def test_a_job_may_have_a_topology_domain_to_itself():
    obj = given()
    obj["metadata"]["annotations"] = {labels.EXCLUSIVE: "rack"}
    pod = job(obj)["spec"]["template"]
    assert pod["metadata"]["annotations"][labels.EXCLUSIVE] == "rack"
    (near,) = pod["spec"]["affinity"]["podAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    (far,) = pod["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert near["topologyKey"] == far["topologyKey"] == "rack"
    assert near["labelSelector"]["matchExpressions"][0]["values"] == [labels.job_key("ns", "s-a-0")]
    obj["metadata"]["annotations"][labels.NODE_SELECTOR] = "true"
    pod = job(obj)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"alpha.jobset.sigs.k8s.io/namespaced-job": "ns_s-a-0"}


def test_pods_without_names_have_no_subdomain():
    network = {"enableDNSHostnames": False}
    assert "subdomain" not in job(given(network=network))["spec"]["template"]["spec"]
    named = job(given(network={"subdomain": "net"}))["spec"]["template"]["spec"]
    assert named["subdomain"] == "net"
