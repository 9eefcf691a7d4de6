"""Who looks at which kind; kinds that are not here are looked at by `others`."""

from collections.abc import Mapping
from typing import Final

from wherry.builtin.gangs import kinds as gang_kinds
from wherry.cli.why.causes import (
    claims,
    definitions,
    environments,
    gangs,
    jobs,
    namespaces,
    nodes,
    pipelines,
    pods,
    schedules,
    services,
    workflows,
    workloads,
)
from wherry.cli.why.look import Cause
from wherry.objects import kinds

BY_KIND: Final[Mapping[str, Cause]] = {
    kinds.CRON_JOBS.key: jobs.look_at_cron_job,
    kinds.CUSTOM_RESOURCE_DEFINITIONS.key: definitions.look,
    kinds.DAEMON_SETS.key: workloads.look_at_daemon_set,
    kinds.DEPLOYMENTS.key: workloads.look_at_deployment,
    environments.KEY: environments.look,
    kinds.JOBS.key: jobs.look,
    kinds.NAMESPACES.key: namespaces.look,
    kinds.NODES.key: nodes.look,
    kinds.PERSISTENT_VOLUME_CLAIMS.key: claims.look,
    pipelines.KEY: pipelines.look,
    kinds.PODS.key: pods.look,
    gang_kinds.POD_GROUPS.key: gangs.look,
    gang_kinds.VOLCANO_POD_GROUPS.key: gangs.look,
    kinds.REPLICATION_CONTROLLERS.key: workloads.look_at_replicas,
    kinds.REPLICA_SETS.key: workloads.look_at_replicas,
    schedules.KEY: schedules.look,
    kinds.SERVICES.key: services.look,
    kinds.STATEFUL_SETS.key: workloads.look_at_replicas,
    workflows.KEY: workflows.look,
}
"""By the resource's key."""
