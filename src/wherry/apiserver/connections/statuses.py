"""How a command ended, in the words of clients: the `Status` that closes exec and attach.

Source: `k8s.io/apimachinery/pkg/util/remotecommand` (reasons and causes).
"""

from wherry.apiserver.pod_streams import Ended
from wherry.objects.requests import Object


def of(ended: Ended) -> Object:
    """Return the status of a command that has ended."""
    if ended.error is not None:
        return failure(f"error executing command in container: {ended.error}")
    if ended.exit_code == 0:
        return {"metadata": {}, "status": "Success"}
    code = str(ended.exit_code)
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": code}]},
    }


def failure(why: str) -> Object:
    """Return the status of what could not be done."""
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "InternalError",
        "message": f"Internal error occurred: {why}",
        "details": {"causes": [{"message": why}]},
        "code": 500,
    }
