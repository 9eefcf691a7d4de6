"""The services: the database of metrics, suggestions, early stopping, health. Blocking, many threads."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from wherry.metadata.errors import DatabaseError
from wherry.tuning import algorithms, stoppers
from wherry.tuning.algorithm import Algorithm, PastTrial
from wherry.tuning.api import messages, translating, wording
from wherry.tuning.observations import record
from wherry.tuning.observations.database import Database
from wherry.tuning.observations.record import Owner, Record
from wherry.tuning.observations.summary import number
from wherry.tuning.stopping import Stopper

_NOW_SERVING = 1
_STOPPER = "medianstop"
_CREATED = messages.number("TrialStatus.TrialConditionType", "CREATED")

Told = Callable[[str], None]
"""Is called with a trial's name."""


class DBManager:
    """What trials report, by the trial's name."""

    def __init__(self, database: Database, clock: Callable[[], int], reported: Told) -> None:
        """Take what it works with.

        Args:
            database: Where values are.
            clock: Nanoseconds since 1970; for values that come without a time.
            reported: Called when values of a trial have been stored.
        """
        self._database = database
        self._clock = clock
        self._reported = reported

    def ReportObservationLog(self, request: Any, context: Any) -> Any:  # noqa: N802 - of the API
        """Store what a trial sends."""
        owner = Owner("", request.trial_name)
        now = self._clock()
        rows = [(owner, _record(each, now)) for each in request.observation_log.metric_logs]
        try:
            self._database.add(rows)
        except DatabaseError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        self._reported(request.trial_name)
        return messages.new("ReportObservationLogReply")

    def GetObservationLog(self, request: Any, context: Any) -> Any:  # noqa: N802 - of the API
        """Return a trial's values by time: all, of a metric, of a span of time."""
        begin, end = (
            _moment(context, "start_time", request.start_time),
            _moment(context, "end_time", request.end_time),
        )
        reply = messages.new("GetObservationLogReply")
        found = self._of(request.trial_name, context)
        for each in sorted(found, key=lambda each: each.nanoseconds):
            if request.metric_name and each.metric != request.metric_name:
                continue
            if (begin is None or each.nanoseconds >= begin) and (
                end is None or each.nanoseconds <= end
            ):
                log = reply.observation_log.metric_logs.add(
                    time_stamp=record.text(each.nanoseconds)
                )
                log.metric.name, log.metric.value = each.metric, each.value
        return reply

    def DeleteObservationLog(self, request: Any, context: Any) -> Any:  # noqa: N802 - of the API
        """Delete a trial's values."""
        try:
            self._database.delete(Owner("", request.trial_name))
        except DatabaseError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        return messages.new("DeleteObservationLogReply")

    def _of(self, trial: str, context: Any) -> list[Record]:
        try:
            return self._database.of(Owner("", trial))
        except DatabaseError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
            raise


class Suggestion:
    """Any of the algorithms, by the name in the request; keeps nothing between two."""

    def __init__(self, default: str = "") -> None:
        """Take what it works with.

        Args:
            default: The algorithm of requests that name none, as for services of one algorithm.
        """
        self._default = default

    def GetSuggestions(self, request: Any, context: Any) -> Any:  # noqa: N802 - of the API
        """Return what to try next."""
        given = request.experiment.spec.algorithm
        algorithm = _algorithm(given.algorithm_name or self._default, context)
        asked = translating.question(request)
        if algorithm is None:
            return messages.new("GetSuggestionsReply")
        try:
            return translating.reply(given, algorithm.propose(asked))
        except Exception:
            # Clients of Katib need not have had it validated, and get what can be had.
            causes = algorithm.validate(asked.search)
            if not causes:
                raise
        _fail(context, wording.details(algorithm.name, asked.search.settings, causes))
        return messages.new("GetSuggestionsReply")

    def ValidateAlgorithmSettings(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's
        """Refuse settings and spaces that the algorithm cannot take."""
        name = request.experiment.spec.algorithm.algorithm_name
        algorithm = _algorithm(name or self._default, context)
        if algorithm is not None:
            search = translating.search(request.experiment)
            causes = algorithm.validate(search)
            if causes:
                _fail(context, wording.details(algorithm.name, search.settings, causes))
        return messages.new("ValidateAlgorithmSettingsReply")


class EarlyStopping:
    """Any of the stoppers, by the name in the request; without one, medianstop."""

    def __init__(self, curves: Callable[[str, str, str], Sequence[float]], stopped: Told) -> None:
        """Take what it works with.

        Args:
            curves: Gives a trial's values of a metric, from the database at an address.
            stopped: Called with a trial that has been stopped.
        """
        self._curves = curves
        self._stopped = stopped

    def ValidateEarlyStoppingSettings(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's
        """Refuse settings that the stopper cannot take."""
        given = request.early_stopping
        stopper = _stopper(given.algorithm_name, context)
        if stopper is not None:
            settings = {each.name: each.value for each in given.algorithm_settings}
            causes = stopper.validate(settings)
            if causes:
                _fail(context, wording.details(stopper.name, settings, causes))
        return messages.new("ValidateEarlyStoppingSettingsReply")

    def GetEarlyStoppingRules(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's
        """Return the rules of trials that are made now."""
        reply = messages.new("GetEarlyStoppingRulesReply")
        given = request.experiment.spec.early_stopping
        stopper = _stopper(given.algorithm_name or _STOPPER, context)
        if stopper is None:
            return reply
        objective = translating.objective(request.experiment.spec.objective)
        trials: list[PastTrial] = []
        for index, each in enumerate(request.trials):
            curve = self._curve(request.db_manager_address, each, objective.metric, context)
            trials.append(translating.past(each, index, objective.metric, curve))
        settings = {each.name: each.value for each in given.algorithm_settings}
        translating.add_rules(reply, stopper.rules(objective, settings, trials))
        return reply

    def _curve(self, address: str, trial: Any, metric: str, context: Any) -> Sequence[float]:
        if trial.status.condition == _CREATED:
            return ()  # it has not run
        try:
            return self._curves(address, trial.name, metric)
        except grpc.RpcError as error:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"database at {address}: {error}")
            raise

    def SetTrialStatus(self, request: Any, context: Any) -> Any:  # noqa: N802 - of the API
        """Note that a trial has been stopped early."""
        del context
        self._stopped(request.trial_name)
        return messages.new("SetTrialStatusReply")


class Health:
    """Serving, whatever service is asked for."""

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - of the API
        """Return that all is well."""
        del request, context
        return messages.HEALTH["HealthCheckResponse"](status=_NOW_SERVING)


def curve_at(address: str, trial: str, metric: str) -> list[float]:
    """Return a trial's values of a metric from the database API at an address."""
    request = messages.new("GetObservationLogRequest", trial_name=trial, metric_name=metric)
    with grpc.insecure_channel(address) as channel:
        call: grpc.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
            f"/{messages.PACKAGE}.DBManager/GetObservationLog",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=messages.MESSAGES["GetObservationLogReply"].FromString,
        )
        logs = call(request, timeout=10).observation_log.metric_logs
    values = (number(each.metric.value) for each in logs)
    return [value for value in values if value is not None]


def _algorithm(name: str, context: Any) -> Algorithm | None:
    try:
        return algorithms.get(name)
    except LookupError:
        _fail(context, f"unknown algorithm name {name}")
        return None


def _stopper(name: str, context: Any) -> Stopper | None:
    try:
        return stoppers.get(name)
    except LookupError:
        _fail(context, f"unknown algorithm name {name}")
        return None


def _fail(context: Any, details: str) -> None:
    context.set_code(grpc.StatusCode.INVALID_ARGUMENT)
    context.set_details(details)


def _record(log: Any, now: int) -> Record:
    told = record.nanoseconds(log.time_stamp)
    return Record(log.metric.name, log.metric.value, now if told is None else told)


def _moment(context: Any, field: str, text: str) -> int | None:
    if not text:
        return None
    found = record.nanoseconds(text)
    if found is None:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{field}: {text!r} is no RFC 3339 time")
    return found
