"""The built-in controllers, all of them, and the objects that they need from the start."""

from wherry.builtin import (
    cluster_role_aggregation,
    cron_job,
    daemon_set,
    deployment,
    disruption,
    ephemeral_volumes,
    event_garbage,
    job,
    namespaces,
    pod_garbage,
    replica_set,
    resource_quota,
    scheduler,
    service_accounts,
    services,
    stateful_set,
    volume_binding,
    volume_reclaiming,
    volumes,
)
from wherry.builtin.autoscaling import controller as autoscaling
from wherry.builtin.service_proxy import ServiceProxy
from wherry.builtin.settings import BuiltinSettings
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.objects import kinds
from wherry.objects.requests import Object


def controllers(
    manager: Manager, settings: BuiltinSettings, proxy: ServiceProxy
) -> list[Controller]:
    """Return the controllers to add to a manager.

    The garbage collector is not among them: it watches what no manager knows beforehand, and is
    run beside the manager (`garbage_collector.GarbageCollector`).
    """
    return [
        namespaces.controller(manager),
        service_accounts.controller(manager, settings),
        cluster_role_aggregation.controller(manager),
        scheduler.controller(manager, settings),
        pod_garbage.controller(manager, settings),
        event_garbage.controller(manager, settings),
        volumes.controller(manager, settings),
        volume_reclaiming.controller(manager, settings),
        ephemeral_volumes.controller(manager),
        *services.controllers(manager, proxy),
        replica_set.controller(manager),
        replica_set.controller(manager, kinds.REPLICATION_CONTROLLERS),
        deployment.controller(manager),
        stateful_set.controller(manager),
        daemon_set.controller(manager),
        job.controller(manager, settings),
        cron_job.controller(manager),
        disruption.controller(manager),
        autoscaling.controller(manager),
        resource_quota.controller(manager),
    ]


def bootstrap_objects() -> list[Object]:
    """Return the objects that a cluster has from the start for these controllers' sake."""
    return [volume_binding.default_storage_class()]
