"""What can go wrong in the SDK of pipelines."""


class CompileError(Exception):
    """A function is no component or pipeline; the message says what would be."""


class FailedRunError(Exception):
    """A run has failed, or was canceled; the message says where and why."""
