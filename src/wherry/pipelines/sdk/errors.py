"""What can go wrong in the SDK of pipelines."""


class CompileError(Exception):
    """A function is no component or pipeline; the message says what would be."""


class RunError(Exception):
    """A run could not be started, or there is no more to be learnt of it."""


class FailedRunError(RunError):
    """A run has failed, or was canceled; the message says where and why."""
