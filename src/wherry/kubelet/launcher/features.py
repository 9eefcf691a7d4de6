"""What this machine allows, found out by trying it once in a child."""

import os
import sys
from collections.abc import Callable

from wherry.kubelet.launcher import cgroup, sandbox, suspension, syscalls, types


def detect(controllers: cgroup.Controllers) -> types.Features:
    """Try namespaces and interception.

    Args:
        controllers: What was found out about control groups.

    Returns:
        What works, and why the rest does not.
    """
    reasons = {f"{name}_limits": reason for name, reason in controllers.reasons.items()}
    user_namespace, isolate_reason = _namespaces()
    if isolate_reason:
        reasons["isolate"] = isolate_reason
    interception_reason = _interception(user_namespace=user_namespace)
    if interception_reason:
        reasons["interception"] = interception_reason
    return types.Features(
        isolate=not isolate_reason,
        user_namespace=user_namespace,
        interception=not interception_reason,
        memory_limits=controllers.memory is not None,
        cpu_limits=controllers.cpu is not None,
        pids_limits=controllers.pids is not None,
        reasons=reasons,
    )


def _namespaces() -> tuple[bool, str]:
    if sys.platform != "linux":
        return False, f"{sys.platform} has no mount namespaces"
    if os.geteuid() == 0 and not _fails(lambda: sandbox.unshare(user_namespace=False)):
        return False, ""
    reason = _fails(lambda: sandbox.unshare(user_namespace=True))
    if reason:
        return False, f"the kernel refuses namespaces to this user: {reason}"
    return True, ""


def _interception(*, user_namespace: bool) -> str:
    if not suspension.supported_machine():
        return f"not known for {sys.platform} on {os.uname().machine}"

    def attempt() -> None:
        if user_namespace or os.geteuid() != 0:
            syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        os.close(suspension.install())
        # What the launcher does with it; a process is always allowed to look at itself.
        os.close(syscalls.pidfd_getfd(syscalls.pidfd_open(os.getpid()), 0))

    reason = _fails(attempt)
    return f"the kernel refuses to hand over system calls: {reason}" if reason else ""


def _fails(attempt: Callable[[], None]) -> str:
    """Return why ``attempt`` raises in a child of ours, or nothing."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            attempt()
        except Exception as error:  # noqa: BLE001 — the reason is the result
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    reason = os.read(reader, 4096).decode()
    os.close(reader)
    os.waitpid(pid, 0)
    return reason
