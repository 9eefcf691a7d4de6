"""One container as the agent sees it: what `plan` decides upon and `status` describes. Pure."""

from dataclasses import dataclass

from wherry.kubelet import specs
from wherry.kubelet.launcher.types import ProcessState
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run, as `state.waiting` says it."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerView:
    """A container's spec and what has become of it.

    Attributes:
        spec: Its entry in the pod.
        init: Whether it is among the init containers.
        ephemeral: Whether it was added to the running pod for debugging.
        attempt: Number of the newest attempt, -1 before the first.
        process: The newest attempt.
        previous: The attempt before that, if still known.
        waiting: What holds back the next attempt.
        started: Whether postStart and the startup probe are done.
        ready: Whether the readiness probe says so.
        image_id: What it runs.
        message: Termination message of the newest attempt.
        previous_message: Termination message of the attempt before.
        restart_at: Before this time (seconds since the epoch) it is not started again.
    """

    spec: Object
    init: bool = False
    ephemeral: bool = False
    attempt: int = -1
    process: ProcessState | None = None
    previous: ProcessState | None = None
    waiting: Waiting | None = None
    started: bool = False
    ready: bool = False
    image_id: str = ""
    message: str = ""
    previous_message: str = ""
    restart_at: float = 0.0

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.spec["name"])

    @property
    def main(self) -> bool:
        """Whether the pod is about it: neither an init container nor one for debugging."""
        return not self.init and not self.ephemeral

    @property
    def sidecar(self) -> bool:
        """Whether it is an init container that keeps running."""
        return self.init and specs.is_sidecar(self.spec)

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.finished_at is None

    @property
    def ended(self) -> bool:
        """Whether its newest attempt has ended."""
        return self.process is not None and self.process.finished_at is not None

    @property
    def exit_code(self) -> int:
        """How the newest attempt ended; -1 while there is nothing to tell."""
        return exit_code(self.process) if self.process is not None and self.ended else -1


def exit_code(process: ProcessState) -> int:
    """Return the code as the status shows it: 128 + signal for a signal, 128 if it never ran."""
    if process.exit_code is not None:
        return process.exit_code
    return 128 + process.signal if process.signal else 128
