"""Limit ranges: what they fill in and what they forbid."""

from typing import Any

import pytest

from wherry.objects import errors, kinds


def pod(*, requests: Any = None, limits: Any = None, **spec: Any) -> dict[str, Any]:
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
    return {"spec": {"containers": [{"name": "c", "image": "x", "resources": resources}], **spec}}


async def bound(writer: Any, **item: Any) -> None:
    meta = {"name": "bounds", "namespace": "default"}
    obj = writer.default(kinds.LIMIT_RANGES, {"metadata": meta, "spec": {"limits": [item]}})
    await writer.store(kinds.LIMIT_RANGES, obj)


async def test_containers_get_the_defaults_of_the_namespace(writer):
    await bound(
        writer,
        type="Container",
        default={"cpu": "500m", "memory": "1Gi"},
        defaultRequest={"cpu": "100m"},
    )
    made = writer.good(kinds.PODS, pod(requests={"cpu": "200m"}))
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "200m", "memory": "1Gi"},
        "limits": {"cpu": "500m", "memory": "1Gi"},
    }
    annotation = made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
    assert "memory request for container c" in annotation
    assert made["status"]["qosClass"] == "Burstable"


@pytest.mark.parametrize(
    ("item", "obj", "text"),
    [
        (
            {"type": "Container", "max": {"cpu": "1"}},
            pod(limits={"cpu": "2"}),
            "maximum cpu usage per Container is 1, but limit is 2",
        ),
        (
            {"type": "Container", "min": {"memory": "64Mi"}},
            pod(requests={"memory": "32Mi"}),
            "minimum memory usage per Container is 64Mi, but request is 32Mi",
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}},
            {
                "spec": {
                    "containers": [
                        {"name": n, "image": "x", "resources": {"limits": {"cpu": "600m"}}}
                        for n in "ab"
                    ]
                }
            },
            "maximum cpu usage per Pod is 1, but limit is 1200m",
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}},
            pod(),
            "maximum cpu usage per Pod is 1.  No limit is specified",
        ),
        (
            {"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
            pod(limits={"cpu": "3"}, requests={"cpu": "1"}),
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
    ],
)
async def test_forbidden(writer, item, obj, text):
    await bound(writer, **item)
    with pytest.raises(errors.ForbiddenError) as caught:
        writer.create(kinds.PODS, obj)
    assert caught.value.message == f'pods "thing" is forbidden: {text}'


async def test_claims_are_bounded(writer):
    await bound(writer, type="PersistentVolumeClaim", max={"storage": "1Gi"})
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    with pytest.raises(errors.ForbiddenError, match="maximum storage usage"):
        writer.create(kinds.PERSISTENT_VOLUME_CLAIMS, {"spec": spec})
