"""Generic ephemeral volumes: a claim per pod, which goes with it."""

from typing import Any

from wherry.objects import kinds, metadata
from wherry.objects.requests import Object

CLAIMS = kinds.PERSISTENT_VOLUME_CLAIMS
SPEC = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}


def pod(name: str = "web") -> Object:
    template = {"metadata": {"labels": {"for": "scratch"}}, "spec": SPEC}
    return {
        "metadata": {"name": name},
        "spec": {
            "containers": [{"name": "main", "image": "python"}],
            "volumes": [{"name": "data", "ephemeral": {"volumeClaimTemplate": template}}],
        },
    }


async def test_a_claim_is_made_bound_and_goes_with_the_pod(world: Any) -> None:
    made = await world.create(kinds.PODS, pod())

    await world.until_status(kinds.PODS, "web", phase="Running")

    claim = await world.get(CLAIMS, "web-data")
    assert claim["status"]["phase"] == "Bound"
    assert metadata.labels(claim) == {"for": "scratch"}
    owner = metadata.controller_of(claim)
    assert owner is not None
    assert (owner["kind"], owner["uid"]) == ("Pod", metadata.uid(made))
    await world.delete(kinds.PODS, "web")
    await world.until_gone(CLAIMS, "web-data")


async def test_one_that_is_not_the_pods_is_left_alone(world: Any) -> None:
    before = await world.create(CLAIMS, {"metadata": {"name": "web-data"}, "spec": SPEC})
    await world.create(kinds.PODS, pod())

    async def told() -> str:
        return str((await world.events("web")).get("FailedBinding", ""))

    message = await world.until(told)

    assert message == 'PVC "default/web-data" was not created for pod (pod is not owner)'
    found = await world.get(CLAIMS, "web-data")
    assert metadata.owner_references(found) == metadata.owner_references(before) == []


async def test_a_killed_controller_makes_up_for_it(bare: Any) -> None:
    await bare.create(kinds.PODS, pod())
    await bare.start()
    await bare.until_status(kinds.PODS, "web", phase="Running")
    await bare.kill()
    await bare.client.delete(CLAIMS, "web-data", "default")
    await bare.start()
    await bare.until(lambda: bare.find(CLAIMS, "web-data"))
