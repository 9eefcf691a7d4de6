"""Whether a node is tried again, and when. Pure.

Source: argo-workflows after 4.1.2, ``processNodeRetries`` in ``workflow/controller/operator.go``,
``util/errors/errors.go`` for what passes by itself.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.graph.model import Attempt, State
from wherry.pipelines.workflows import durations, scopes, variables
from wherry.pipelines.workflows.messages import Template, WorkflowSpec
from wherry.pipelines.workflows.reading import read_part
from wherry.pipelines.workflows.scopes import EXIT_CODE, Scope
from wherry.pipelines.workflows.surroundings import Backoff, RetryPolicy, RetryStrategy

_TRANSIENT: Final = (
    "timeout", "timed out", "connection reset", "connection refused", "i/o timeout", "too many requests",
    "exceeded quota", "etcdserver: request timed out", "TLS handshake timeout", "unexpected EOF",
)  # fmt: skip
_YEAR_SECONDS: Final = 366 * 24 * 3600.0


class NoMoreError(UnresolvedError):
    """A node is not tried again, for a reason that people are told in place of that of the last attempt."""

    def __init__(self, message: str, state: State) -> None:
        """Take why, and as what the last attempt has ended."""
        super().__init__(message)
        self.state = state


def strategy(
    template: Template, spec: WorkflowSpec, scope: Mapping[str, Any]
) -> RetryStrategy | None:
    """Return how a template is tried again, its variables filled in; None: it is not."""
    if template.retry_strategy is not None:
        written = template.json.get("retryStrategy") or {}
    elif spec.retry_strategy is not None:
        written = spec.json.get("retryStrategy") or {}
    else:
        return None
    plain = {key: value for key, value in written.items() if key != "expression"}
    filled = variables.fill(plain, scope, strict=False)
    return read_part(RetryStrategy, {**filled, **_expression(written)}, "retryStrategy")


def _expression(written: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if key == "expression"}


def again(
    told: RetryStrategy, attempt: Attempt, last: Mapping[str, Any], scope: Scope
) -> float | None:
    """Return when a node that has failed is tried again; None: it is not.

    Args:
        told: How.
        attempt: The last one.
        last: What is known of it besides.
        scope: The variables that its expression may ask for.

    Raises:
        ValueError: what is told cannot be read.
        NoMoreError: it is not, and the strategy itself says so.
        UnresolvedError: a variable is not known.
    """
    if not _fits(told, attempt):
        return None
    if told.limit is not None and attempt.number >= int(told.limit):
        raise NoMoreError("No more retries left", attempt.state)
    if told.expression:
        own = scope_of_last(attempt.number, attempt, last)
        if scope.over(own).evaluate(told.expression) is not True:
            raise NoMoreError("retryStrategy.expression evaluated to false", attempt.state)
    return _when(told.backoff, attempt)


def _fits(told: RetryStrategy, attempt: Attempt) -> bool:
    policy = told.retry_policy
    if policy is None:
        policy = RetryPolicy.ALWAYS if told.expression else RetryPolicy.ON_FAILURE
    if policy is RetryPolicy.ON_TRANSIENT_ERROR:
        return any(each in attempt.error for each in _TRANSIENT)
    if policy is RetryPolicy.ALWAYS:
        return True
    wanted = State.FAILED if policy is RetryPolicy.ON_FAILURE else State.ERROR
    return attempt.state is wanted


def _when(backoff: Backoff | None, attempt: Attempt) -> float | None:
    if backoff is None:
        return attempt.ended_at
    wait = durations.seconds(backoff.duration) if backoff.duration else 0.0
    factor = float(backoff.factor) if backoff.factor else 0.0
    if factor > 0:
        try:
            wait *= math.pow(factor, attempt.number)
        except OverflowError:
            wait = _YEAR_SECONDS
    if backoff.cap:
        wait = min(wait, durations.seconds(backoff.cap))
    at = attempt.ended_at + min(wait, _YEAR_SECONDS)
    if backoff.max_duration:
        last = attempt.began_at + durations.seconds(backoff.max_duration)
        if attempt.ended_at > last or at > last:
            return None
    return at


def scope_of_last(number: int, attempt: Attempt, last: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of the attempt before the next one."""
    return {
        "retries": str(number),
        "lastRetry.exitCode": str(attempt.outputs.parameters.get(EXIT_CODE, "-1")),
        "lastRetry.status": scopes.phase(attempt.state),
        "lastRetry.duration": str(int(last.get("duration") or 0)),
        "lastRetry.message": attempt.error,
    }


def variables_of(number: int, last: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that an attempt has of the one before it.

    Args:
        number: Of the attempt, from 0.
        last: What is known of the latest one.
    """
    attempts = last.get("attempts") or []
    before: Mapping[str, Any] = attempts[-1] if number and attempts else {}
    return {
        "retries": str(number),
        "lastRetry.exitCode": str(before.get("exitCode", "0")),
        "lastRetry.status": str(before.get("status", "")),
        "lastRetry.duration": str(before.get("duration", "0")),
        "lastRetry.message": str(before.get("message", "")),
    }
