"""Brings what a HorizontalPodAutoscaler scales to the number of pods that its metrics ask for.

Source: `pkg/controller/podautoscaler/horizontal.go` of Kubernetes (order of steps, reasons, messages).
"""

from dataclasses import dataclass
from typing import Any

from wherry.builtin import served
from wherry.builtin.autoscaling import behavior, calculation, status
from wherry.builtin.autoscaling.behavior import Verdict
from wherry.builtin.autoscaling.calculation import NoMetricError
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.controller.status import write_status
from wherry.objects import errors, kinds, metadata, quantities, selectors, usage
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_PERIOD_SECONDS = 15.0
_FIELDS = {
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}
_OTHER_APIS = {
    "Pods": "custom.metrics.k8s.io",
    "Object": "custom.metrics.k8s.io",
    "External": "external.metrics.k8s.io",
}


class _StopError(Exception):
    """Nothing more can be done now; the status says why."""


@dataclass(frozen=True, slots=True)
class _Work:
    """One look at one autoscaler."""

    autoscaler: Object
    draft: status.Draft
    resource: Resource
    scale: Object

    @property
    def current(self) -> int:
        return int((self.scale.get("spec") or {}).get("replicas") or 0)

    @property
    def bounds(self) -> behavior.Bounds:
        spec = self.autoscaler["spec"]
        least = spec.get("minReplicas")
        return behavior.Bounds(
            1 if least is None else least, spec["maxReplicas"], spec.get("behavior")
        )


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the metrics ask for."""

    replicas: int
    name: str
    metrics: list[Object]


class AutoscalerReconciler:
    """Looks at each autoscaler every 15 seconds, and whenever it changes."""

    def __init__(self, manager: Manager) -> None:
        self._client = manager.client
        self._clock = manager.clock
        self._recorder = manager.recorder("horizontal-pod-autoscaler")
        self._autoscalers = manager.cache(kinds.HORIZONTAL_POD_AUTOSCALERS)
        self._pods = manager.cache(kinds.PODS)
        self._definitions = manager.cache(kinds.CUSTOM_RESOURCE_DEFINITIONS)
        self._histories: dict[str, behavior.History] = {}

    async def reconcile(self, request: Request) -> Result | None:
        """Take one step."""
        found = self._autoscalers.get(request.namespace, request.name)
        self._forget()
        if found is None or metadata.is_deleting(found):
            return None
        draft = status.Draft(found, self._clock.now())
        try:
            work = await self._begin(found, draft)
            await self._work(work)
        except _StopError:
            pass
        return Result(_PERIOD_SECONDS)

    def _forget(self) -> None:
        living = {metadata.uid(one) for one in self._autoscalers.list()}
        for uid in self._histories.keys() - living:
            del self._histories[uid]

    async def _begin(self, autoscaler: Object, draft: status.Draft) -> _Work:
        reference, namespace = autoscaler["spec"]["scaleTargetRef"], metadata.namespace(autoscaler)
        before = autoscaler.get("status") or {}
        try:
            resource = self._resource(reference)
            scale = await self._client.get(
                resource, reference["name"], namespace, subresource="scale"
            )
        except errors.ApiError as error:
            await self._warn(autoscaler, "FailedGetScale", str(error))
            why = f"the HPA controller was unable to get the target's current scale: {error}"
            draft.set("AbleToScale", Verdict(value=False, reason="FailedGetScale", message=why))
            counts = (before.get("currentReplicas") or 0, before.get("desiredReplicas") or 0)
            await self._write(autoscaler, draft.status(*counts))
            raise _StopError from error
        text = "the HPA controller was able to get the target's current scale"
        draft.set("AbleToScale", Verdict(value=True, reason="SucceededGetScale", message=text))
        return _Work(autoscaler, draft, resource, scale)

    async def _work(self, work: _Work) -> None:
        current, bounds, now = work.current, work.bounds, self._clock.monotonic()
        history = self._histories.get(metadata.uid(work.autoscaler))
        if history is None:
            history = self._histories[metadata.uid(work.autoscaler)] = behavior.History()
            history.recommend(current, now)
        wanted: _Wanted | None = None
        desired, reason = current, ""
        if current == 0 and bounds.least != 0:
            text = "scaling is disabled since the replica count of the target is zero"
            verdict = Verdict(value=False, reason="ScalingDisabled", message=text)
            work.draft.set("ScalingActive", verdict)
            desired = 0
        elif current > bounds.most:
            desired, reason = bounds.most, "Current number of replicas above Spec.MaxReplicas"
        elif current < bounds.least:
            desired, reason = bounds.least, "Current number of replicas below Spec.MinReplicas"
        else:
            wanted = await self._wanted(work)
            outcome = behavior.decide(
                current, wanted.replicas, bounds=bounds, history=history, now=now
            )
            work.draft.set("AbleToScale", outcome.able)
            work.draft.set("ScalingLimited", outcome.limited)
            desired, reason = outcome.replicas, "All metrics below target"
            if wanted.replicas > current:
                reason = f"{wanted.name} above target"
        if desired != current:
            await self._rescale(work, desired, reason)
            history.changed(desired - current, now)
        metrics = [] if wanted is None else wanted.metrics
        await self._write(
            work.autoscaler,
            work.draft.status(current, desired, metrics=metrics, rescaled=desired != current),
        )

    async def _rescale(self, work: _Work, desired: int, reason: str) -> None:
        changed = {**work.scale, "spec": {**(work.scale.get("spec") or {}), "replicas": desired}}
        try:
            await self._client.update(work.resource, changed, subresource="scale")
        except errors.ConflictError:
            raise  # the target has changed since it was read: look again at once, not in 15 seconds
        except errors.ApiError as error:
            text = f"New size: {desired}; reason: {reason}; error: {error}"
            await self._warn(work.autoscaler, "FailedRescale", text)
            why = f"the HPA controller was unable to update the target scale: {error}"
            verdict = Verdict(value=False, reason="FailedUpdateScale", message=why)
            work.draft.set("AbleToScale", verdict)
            await self._write(work.autoscaler, work.draft.status(work.current, work.current))
            raise _StopError from error
        text = f"the HPA controller was able to update the target scale to {desired}"
        work.draft.set("AbleToScale", Verdict(value=True, reason="SucceededRescale", message=text))
        text = f"New size: {desired}; reason: {reason}"
        await self._recorder.event(work.autoscaler, "Normal", "SuccessfulRescale", text)

    # Metrics.

    async def _wanted(self, work: _Work) -> _Wanted:
        """Return what the metrics ask for: the most that any of them does."""
        autoscaler, specs = work.autoscaler, work.autoscaler["spec"].get("metrics") or []
        pods, selector = await self._selected(work)
        best: _Wanted | None = None
        metrics: list[Object] = []
        failures: list[tuple[str, str]] = []
        for spec in specs:
            try:
                proposal, name = await self._proposed(work, spec, pods, selector)
            except NoMetricError as error:
                reason = f"FailedGet{spec['type']}Metric"
                failures.append((reason, str(error)))
                await self._warn(autoscaler, reason, str(error))
                # Entries are told apart by their place.
                metrics.append({"type": ""})
                continue
            metrics.append(status.metric(spec, proposal))
            if best is None or proposal.replicas > best.replicas:
                best = _Wanted(proposal.replicas, name, metrics)
        # With a metric unknown nothing is made smaller: it might have asked for more.
        if best is None or (failures and best.replicas < work.current):
            await self._cannot_tell(work, failures, len(specs), metrics)
            raise _StopError
        text = f"the HPA was able to successfully calculate a replica count from {best.name}"
        verdict = Verdict(value=True, reason="ValidMetricFound", message=text)
        work.draft.set("ScalingActive", verdict)
        return best

    async def _selected(self, work: _Work) -> tuple[list[Object], str]:
        selector = str((work.scale.get("status") or {}).get("selector") or "")
        if not selector:
            await self._warn(work.autoscaler, "SelectorRequired", "selector is required")
            text = "the HPA target's scale is missing a selector"
            verdict = Verdict(value=False, reason="InvalidSelector", message=text)
            work.draft.set("ScalingActive", verdict)
            await self._write(work.autoscaler, work.draft.status(work.current, work.current))
            raise _StopError
        namespace = metadata.namespace(work.autoscaler)
        return self._pods.list(namespace, selectors.parse_labels(selector)), selector

    async def _proposed(
        self, work: _Work, spec: Object, pods: list[Object], selector: str
    ) -> tuple[calculation.Proposal, str]:
        target, name = _target(spec)
        what = "utilization" if target.utilization is not None else "usage"
        try:
            namespace = metadata.namespace(work.autoscaler)
            measured = calculation.measured(await self._metrics(namespace, selector), target)
        except NoMetricError as error:
            text = f"unable to get metrics for resource {target.resource}: {error}"
            raise NoMetricError(f"failed to get {target.resource} {what}: {text}") from error
        try:
            proposal = calculation.propose(
                work.current,
                target,
                pods,
                measured,
                tolerance=_tolerance(work.bounds.rules),
                now=self._clock.now(),
            )
        except NoMetricError as error:
            raise NoMetricError(f"failed to get {target.resource} {what}: {error}") from error
        return proposal, name

    async def _metrics(self, namespace: str, selector: str) -> list[Object]:
        try:
            found = await self._client.list(usage.POD_METRICS, namespace, labels=selector)
        except errors.ApiError as error:
            raise NoMetricError(
                f"unable to fetch metrics from resource metrics API: {error}"
            ) from error
        return list(found)

    async def _cannot_tell(
        self, work: _Work, failures: list[tuple[str, str]], total: int, metrics: list[Object]
    ) -> None:
        reason, message = failures[0]
        why = f"the HPA was unable to compute the replica count: {message}"
        work.draft.set("ScalingActive", Verdict(value=False, reason=reason, message=why))
        text = (
            f"invalid metrics ({len(failures)} invalid out of {total}), first error is: {message}"
        )
        await self._warn(work.autoscaler, "FailedComputeMetricsReplicas", text)
        found = work.draft.status(work.current, work.current, metrics=metrics)
        await self._write(work.autoscaler, found)

    # The API.

    def _resource(self, reference: Object) -> Resource:
        version, kind = str(reference.get("apiVersion") or "v1"), str(reference["kind"])
        if (builtin := kinds.by_kind(version, kind)) is not None:
            return builtin
        for resource in served.custom_resources(self._definitions.list()):
            if resource.kind == kind and resource.group == version.rpartition("/")[0]:
                return resource
        raise errors.NotFoundError(f'no matches for kind "{kind}" in version "{version}"')

    async def _write(self, autoscaler: Object, found: dict[str, Any]) -> None:
        await write_status(self._client, kinds.HORIZONTAL_POD_AUTOSCALERS, autoscaler, found)

    async def _warn(self, autoscaler: Object, reason: str, message: str) -> None:
        await self._recorder.event(autoscaler, "Warning", reason, message)


def _target(spec: Object) -> tuple[calculation.Target, str]:
    """Return what a metric is compared with, and what the metric is called.

    Raises:
        NoMetricError: Nobody here knows such metrics.
    """
    kind = str(spec["type"])
    if api := _OTHER_APIS.get(kind):
        raise NoMetricError(
            f"unable to fetch metrics: {api} is not served here; "
            "Resource and ContainerResource metrics are"
        )
    source = spec[_FIELDS[kind]]
    target, name = source["target"], str(source["name"])
    what = f"{name} container resource" if kind == "ContainerResource" else f"{name} resource"
    percent, average = target.get("averageUtilization"), target.get("averageValue")
    container = str(source.get("container") or "")
    if percent is None and average is None:
        raise NoMetricError(
            "invalid resource metric source: neither a utilization target nor a value target was set"
        )
    if average is not None:
        return calculation.Target(name, container, None, quantities.parse(average)), what
    full = f"{what} utilization (percentage of request)"
    return calculation.Target(name, container, int(percent), None), full


def _tolerance(rules: Any) -> calculation.Tolerance:
    found = {}
    for name, direction in (("down", "scaleDown"), ("up", "scaleUp")):
        value = ((rules or {}).get(direction) or {}).get("tolerance")
        if value is not None:
            found[name] = float(quantities.parse(value))
    return calculation.Tolerance(**found)


def controller(manager: Manager) -> Controller:
    """Return the controller of horizontal pod autoscalers."""
    return Controller(
        "horizontal-pod-autoscaler",
        kinds.HORIZONTAL_POD_AUTOSCALERS,
        AutoscalerReconciler(manager),
        watches=(
            Watch(kinds.PODS, lambda _: ()),
            Watch(kinds.CUSTOM_RESOURCE_DEFINITIONS, lambda _: ()),
        ),
        workers=2,
    )
