"""What extends the API itself: webhooks, admission policies, flow control, API services.

Source: ``pkg/apis/{admissionregistration,flowcontrol}/v1/defaults.go``, ``kube-aggregator``.
"""

from typing import Any

from wherry.apiserver.strategies import causes, webhookconfigs
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

_ADMISSION = "admissionregistration.k8s.io"
_FLOW = "flowcontrol.apiserver.k8s.io"
_HTTPS = 443
_MAX_WEBHOOK_SECONDS = 30
_OPERATIONS = frozenset({"*", "CREATE", "UPDATE", "DELETE", "CONNECT"})
_SIDE_EFFECTS = frozenset({"None", "NoneOnDryRun"})
_FAILURE_POLICIES = frozenset({"Fail", "Ignore"})
_REINVOCATIONS = frozenset({"Never", "IfNeeded"})
_PATCH_TYPES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
_CONDITION_VARIABLES = ("object", "oldObject", "request", "authorizer")


def _absent(holder: dict[str, Any], **values: Any) -> None:
    for name, value in values.items():
        if holder.get(name) is None:
            holder[name] = value


def _scopes(rules: list[dict[str, Any]] | None) -> None:
    for rule in rules or ():
        _absent(rule, scope="*")


def _default_webhook(webhook: dict[str, Any]) -> None:
    _absent(webhook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
    _absent(webhook, namespaceSelector={}, objectSelector={})
    service = (webhook.get("clientConfig") or {}).get("service")
    if service is not None:
        _absent(service, port=_HTTPS)
    _scopes(webhook.get("rules"))


def _default_validating(obj: Object) -> None:
    for webhook in obj.get("webhooks") or ():
        _default_webhook(webhook)


def _default_mutating(obj: Object) -> None:
    for webhook in obj.get("webhooks") or ():
        _default_webhook(webhook)
        _absent(webhook, reinvocationPolicy="Never")


def _validate_webhooks(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    found: list[Cause] = []
    seen: set[str] = set()
    for index, webhook in enumerate(obj.get("webhooks") or ()):
        where, name = f"webhooks[{index}]", webhook.get("name", "")
        if name.count(".") < 2:
            why = "should be a domain with at least three segments separated by dots"
            found.append(causes.invalid(f"{where}.name", name, why))
        if name in seen:
            found.append(causes.duplicate(f"{where}.name", name))
        seen.add(name)
        found += _webhook(where, webhook)
    return found


def _webhook(path: str, webhook: dict[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    config = webhook.get("clientConfig") or {}
    found += webhookconfigs.client_config(f"{path}.clientConfig", config)
    if not webhook.get("admissionReviewVersions"):
        why = "must specify one of v1, v1beta1"
        found.append(causes.required(f"{path}.admissionReviewVersions", why))
    seconds = webhook.get("timeoutSeconds")
    found += causes.between(f"{path}.timeoutSeconds", seconds, 1, _MAX_WEBHOOK_SECONDS)
    policy, effects = webhook.get("failurePolicy"), webhook.get("sideEffects")
    found += causes.choice(f"{path}.failurePolicy", policy, _FAILURE_POLICIES)
    if effects not in _SIDE_EFFECTS:
        found.append(causes.unsupported(f"{path}.sideEffects", effects, _SIDE_EFFECTS))
    for index, rule in enumerate(webhook.get("rules") or ()):
        found += _webhook_rule(f"{path}.rules[{index}]", rule)
    if listed := webhook.get("matchConditions"):
        found += _conditions(f"{path}.matchConditions", listed)
    return found


def _conditions(path: str, listed: list[dict[str, Any]]) -> list[Cause]:
    # Few webhooks have conditions, and their language is a few megabytes.
    from wherry.apiserver.admission import conditions  # noqa: PLC0415 - CEL is loaded when used

    found = conditions.problems(listed, _CONDITION_VARIABLES)
    return [causes.invalid(f"{path}[{at}].expression", text, why) for at, text, why in found]


def _webhook_rule(path: str, rule: dict[str, Any]) -> list[Cause]:
    parts = ("operations", "apiGroups", "apiVersions", "resources")
    found = [causes.required(f"{path}.{part}") for part in parts if not rule.get(part)]
    for index, operation in enumerate(rule.get("operations") or ()):
        found += causes.choice(f"{path}.operations[{index}]", operation, _OPERATIONS)
    return found


def _default_policy(obj: Object) -> None:
    spec = obj.get("spec") or {}
    _absent(spec, failurePolicy="Fail")
    _default_match(spec.get("matchConstraints"))


def _validate_policy(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    # Few clusters have policies, and their language is a few megabytes.
    from wherry.apiserver.admission import policies  # noqa: PLC0415 - CEL is loaded when used

    found = policies.problems(obj.get("spec") or {})
    return [causes.invalid(path, expression, why) for path, expression, why in found]


def _validate_mutating_policy(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    # Few clusters have policies, and their language is a few megabytes.
    from wherry.apiserver.admission import (  # noqa: PLC0415 - CEL is loaded when used
        mutation_policies,
    )

    spec = obj.get("spec") or {}
    wanted = ("matchConstraints", "mutations")
    found = [causes.required(f"spec.{field}") for field in wanted if not spec.get(field)]
    if spec.get("reinvocationPolicy") not in _REINVOCATIONS:
        value = spec.get("reinvocationPolicy") or ""
        found.append(causes.unsupported("spec.reinvocationPolicy", value, _REINVOCATIONS))
    for index, mutation in enumerate(spec.get("mutations") or ()):
        found += _mutation(f"spec.mutations[{index}]", mutation)
    wrong = mutation_policies.problems(spec)
    return found + [causes.invalid(path, expression, why) for path, expression, why in wrong]


def _mutation(path: str, mutation: dict[str, Any]) -> list[Cause]:
    kind = mutation.get("patchType") or ""
    if kind not in _PATCH_TYPES:
        return [causes.unsupported(f"{path}.patchType", kind, frozenset(_PATCH_TYPES))]
    field = _PATCH_TYPES[kind]
    if not (mutation.get(field) or {}).get("expression"):
        why = f"must be specified when patchType is {kind}"
        return [causes.required(f"{path}.{field}.expression", why)]
    other = next(each for each in _PATCH_TYPES.values() if each != field)
    if mutation.get(other) is not None:
        why = f"may not be specified when patchType is {kind}"
        return [causes.invalid(f"{path}.{other}", "", why)]
    return []


def _default_policy_binding(obj: Object) -> None:
    _default_match((obj.get("spec") or {}).get("matchResources"))


def _default_match(match: dict[str, Any] | None) -> None:
    if match is not None:
        _absent(match, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
        _scopes(match.get("resourceRules"))
        _scopes(match.get("excludeResourceRules"))


def _default_flow(obj: Object) -> None:
    _absent(obj.get("spec") or {}, matchingPrecedence=1000)


def _default_level(obj: Object) -> None:
    spec = obj.get("spec") or {}
    limited, exempt = spec.get("limited"), spec.get("exempt")
    if spec.get("type") == "Exempt":
        exempt = spec["exempt"] = exempt or {}
        _absent(exempt, nominalConcurrencyShares=0, lendablePercent=0)
    if limited is not None:
        _absent(limited, nominalConcurrencyShares=30, lendablePercent=0)
        queuing = (limited.get("limitResponse") or {}).get("queuing")
        if queuing is not None:
            _absent(queuing, queues=64, handSize=8, queueLengthLimit=50)


def _default_api_service(obj: Object) -> None:
    service = (obj.get("spec") or {}).get("service")
    if service is not None:
        _absent(service, port=_HTTPS)


STRATEGIES = {
    f"mutatingwebhookconfigurations.{_ADMISSION}": Rules(
        on_default=_default_mutating, on_validate=_validate_webhooks
    ),
    f"validatingwebhookconfigurations.{_ADMISSION}": Rules(
        on_default=_default_validating, on_validate=_validate_webhooks
    ),
    f"validatingadmissionpolicies.{_ADMISSION}": Rules(
        on_default=_default_policy, on_validate=_validate_policy
    ),
    f"validatingadmissionpolicybindings.{_ADMISSION}": Rules(on_default=_default_policy_binding),
    f"mutatingadmissionpolicies.{_ADMISSION}": Rules(
        on_default=_default_policy, on_validate=_validate_mutating_policy
    ),
    f"mutatingadmissionpolicybindings.{_ADMISSION}": Rules(on_default=_default_policy_binding),
    f"flowschemas.{_FLOW}": Rules(on_default=_default_flow),
    f"prioritylevelconfigurations.{_FLOW}": Rules(on_default=_default_level),
    "apiservices.apiregistration.k8s.io": Rules(on_default=_default_api_service),
}
