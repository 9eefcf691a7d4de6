"""A kopf operator: every kind of handler it offers for one kind, and pods that it makes for it."""

import kopf
from kubernetes import client, config


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_):
    config.load_kube_config()
    settings.posting.loggers = True
    settings.watching.server_timeout = 60
    settings.persistence.finalizer = "example.org/kopf"


def once(create, namespace, body):
    """Create what may be there: kopf calls a handler again when its own note of the result comes too late."""
    try:
        create(namespace, body)
    except client.ApiException as error:
        if error.status != 409:
            raise


@kopf.on.create("example.org", "v1", "boats")
def launched(spec, name, namespace, body, patch, **_):
    if spec["oars"] < 0:
        raise kopf.PermanentError("oars cannot be fewer than none")
    pod = {
        "metadata": {"name": f"{name}-crew"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "row", "image": "python:3", "command": ["echo", "heave"]}],
        },
    }
    kopf.adopt(pod, owner=body)
    once(client.CoreV1Api().create_namespaced_pod, namespace, pod)
    kopf.info(body, reason="Launched", message="off we go")
    patch.status["afloat"] = True
    return {"oars": spec["oars"]}


@kopf.on.create("example.org", "v1", "boats")
def painted(retry, **_):
    if retry < 2:
        raise kopf.TemporaryError("the paint is wet", delay=0.1)
    return {"tries": retry}


@kopf.on.update("example.org", "v1", "boats", field="spec.oars")
def rigged(old, new, patch, **_):
    patch.status["rigged"] = f"{old}->{new}"


@kopf.on.field("example.org", "v1", "boats", field="metadata.labels.flag")
def flagged(new, patch, **_):
    patch.status["flag"] = new


@kopf.on.delete("example.org", "v1", "boats")
def sunk(name, namespace, **_):
    body = {"metadata": {"name": f"{name}-wreck"}}
    once(client.CoreV1Api().create_namespaced_config_map, namespace, body)


@kopf.timer("example.org", "v1", "boats", interval=0.3)
def ticked(status, patch, **_):
    patch.status["ticks"] = status.get("ticks", 0) + 1


@kopf.daemon("example.org", "v1", "boats", cancellation_timeout=2)
async def sailed(stopped, name, logger, **_):
    logger.info("%s sets sail", name)
    try:
        await stopped.wait()
    finally:
        logger.info("%s strikes sail", name)


@kopf.on.event("pods", labels={"kopf-watched": kopf.PRESENT})
def watched(event, name, logger, **_):
    logger.info("seen pod %s %s", name, event["type"])


@kopf.index("example.org", "v1", "boats")
def fleet(name, spec, **_):
    return {name: spec["oars"]}


@kopf.on.resume("example.org", "v1", "boats")
def resumed(patch, fleet: kopf.Index, **_):
    patch.status["resumed"] = sorted(fleet)
