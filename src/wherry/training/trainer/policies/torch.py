"""PyTorch: what `torchrun` reads from its environment, and what `tune run` wants on its command line.

Source: kubeflow/trainer 2.3 ``pkg/runtime/framework/plugins/torch/torch.go``, which tells the nodes
of one another only where the TrainJob has a `trainer`; here it always does.
"""

from collections.abc import Iterator

from wherry.objects.errors import Cause
from wherry.training.trainer import draft as drafts
from wherry.training.trainer import kinds, torchtune
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.policy import Policy

_NODES, _PROCESSES, _RANK = "PET_NNODES", "PET_NPROC_PER_NODE", "PET_NODE_RANK"
_ADDRESS, _PORT = "PET_MASTER_ADDR", "PET_MASTER_PORT"


class Torch(Policy):
    """PyTorch."""

    field = "torch"
    reserved = frozenset({_NODES, _PROCESSES, _RANK, _ADDRESS, _PORT})

    def validate(self, draft: Draft) -> Iterator[Cause]:
        """Check what is told to further containers, and what `tune run` is asked to do."""
        for job, name in _targets(draft):
            replicated = draft.called(job)
            if replicated is None or drafts.container(replicated, name) is None:
                message = f'its envInjection names container "{name}" of "{job}", which it has not'
                yield Cause("spec.runtimeRef.name", message)
        if torchtune.is_asked(draft):
            yield from torchtune.validate(draft, processes(draft))

    def enforce(self, draft: Draft) -> None:
        """Tell each node of the others."""
        each = processes(draft)
        trainer = draft.trainer()
        if trainer is not None:
            tuned = torchtune.is_asked(draft)
            _tell(draft, trainer, each, meets=not tuned)
            drafts.open_port(trainer)
            if tuned:
                trainer["command"] = torchtune.command(draft, each)
        for job, name in _targets(draft):
            replicated = draft.called(job)
            further = drafts.container(replicated, name) if replicated is not None else None
            if further is not None:
                _tell(draft, further, each, meets=True)


def processes(draft: Draft) -> str:
    """Return how many processes each node has, as `torchrun` is told."""
    asked = draft.job.trainer.num_proc_per_node
    if asked is not None and str(asked) != "auto":
        return str(asked)
    if draft.gpus():
        return "auto"
    return str(max(1, draft.cpus()))


def _targets(draft: Draft) -> Iterator[tuple[str, str]]:
    torch = draft.policy.torch
    injection = torch.env_injection if torch is not None else None
    for target in injection.targets if injection is not None else ():
        for name in target.container_names:
            yield target.job_name, name


def _tell(draft: Draft, container: dict[str, object], each: str, *, meets: bool) -> None:
    variables = {_NODES: str(draft.nodes), _PROCESSES: each}
    if meets:
        variables |= {_ADDRESS: draft.first_host(), _PORT: str(kinds.PORT)}
    drafts.give(container, variables)
    drafts.give_index(container, _RANK)
