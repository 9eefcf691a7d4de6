"""Which nodes a step's pod may run on: selectors, tolerations, affinities.

Source: as in `platform`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.ir.messages import TaskParameter
from wherry.pipelines.ir.platforms import (
    KubernetesConfig,
    NodeAffinityTerm,
    NodeSelector,
    PodAffinityTerm,
    SelectorRequirement,
    Toleration,
)
from wherry.pipelines.steps.draft import Draft, StepError

_Resolve = Callable[[TaskParameter], Any]

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def apply(config: KubernetesConfig, draft: Draft, resolve: _Resolve) -> None:
    """Put what concerns scheduling into a pod; as `platform.apply`."""
    if config.node_selector is not None:
        _node_selector(config.node_selector, draft, resolve)
    tolerations = [made for each in config.tolerations for made in _tolerations(each, resolve)]
    if tolerations:
        draft.tolerations(tolerations)
    _node_affinity(config.node_affinity, draft, resolve)
    _pod_affinity(config.pod_affinity, draft)


def _node_selector(wanted: NodeSelector, draft: Draft, resolve: _Resolve) -> None:
    labels: Any = wanted.labels
    if wanted.node_selector_json is not None:
        labels = resolve(wanted.node_selector_json)
        if labels is None:
            return
    if not isinstance(labels, Mapping):
        raise StepError(f"nodeSelectorJson: {labels!r}: labels by name are wanted")
    if labels:
        draft.node_selector({str(name): str(value) for name, value in labels.items()})


def _tolerations(wanted: Toleration, resolve: _Resolve) -> Iterable[Object]:
    if wanted.toleration_json is None:
        fields = {
            "key": wanted.key,
            "operator": wanted.operator,
            "value": wanted.value,
            "effect": wanted.effect,
        }
        made: Object = {name: value for name, value in fields.items() if value}
        if wanted.toleration_seconds is not None:
            made["tolerationSeconds"] = wanted.toleration_seconds
        return [made]
    value = resolve(wanted.toleration_json)
    if value is None:
        return ()
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(each, Mapping) for each in listed):
        raise StepError(f"tolerationJson: {value!r}: a toleration, or a list of them, is wanted")
    return [dict(each) for each in listed if each]


def _node_affinity(terms: Iterable[NodeAffinityTerm], draft: Draft, resolve: _Resolve) -> None:
    affinity: Object = {}
    for term in terms:
        if term.node_affinity_json is not None:
            _merge(affinity, resolve(term.node_affinity_json))
            continue
        made = _chosen("match", expressions=term.match_expressions, fields=term.match_fields)
        if made and term.weight is None:
            affinity.setdefault(_REQUIRED, []).append(made)
        elif made:
            preferred = {"weight": term.weight, "preference": made}
            affinity.setdefault(_PREFERRED, []).append(preferred)
    if _REQUIRED in affinity:
        affinity[_REQUIRED] = {"nodeSelectorTerms": affinity[_REQUIRED]}
    if affinity:
        draft.affinity("nodeAffinity", affinity)


def _merge(affinity: Object, value: Any) -> None:
    """Add the terms of an affinity that came as JSON; None: there is none."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise StepError(f"nodeAffinityJson: {value!r}: a node affinity is wanted")
    if required := (value.get(_REQUIRED) or {}).get("nodeSelectorTerms"):
        affinity.setdefault(_REQUIRED, []).extend(required)
    if preferred := value.get(_PREFERRED):
        affinity.setdefault(_PREFERRED, []).extend(preferred)


def _chosen(prefix: str, **requirements: tuple[SelectorRequirement, ...]) -> Object:
    return {
        f"{prefix}{name.capitalize()}": [_requirement(each) for each in of]
        for name, of in requirements.items()
        if of
    }


def _requirement(wanted: SelectorRequirement) -> Object:
    made: Object = {"key": wanted.key, "operator": wanted.operator}
    return {**made, "values": [*wanted.values]} if wanted.values else made


def _pod_affinity(terms: Iterable[PodAffinityTerm], draft: Draft) -> None:
    made: dict[str, Object] = {}
    for term in terms:
        kind = made.setdefault("podAntiAffinity" if term.anti else "podAffinity", {})
        if term.weight is None:
            kind.setdefault(_REQUIRED, []).append(_pod_term(term))
        else:
            weighted = {"weight": term.weight, "podAffinityTerm": _pod_term(term)}
            kind.setdefault(_PREFERRED, []).append(weighted)
    for name, affinity in made.items():
        draft.affinity(name, affinity)


def _pod_term(term: PodAffinityTerm) -> Object:
    made: Object = {"topologyKey": term.topology_key}
    selectors = (
        ("labelSelector", term.match_pod_labels, term.match_pod_expressions),
        ("namespaceSelector", term.match_namespace_labels, term.match_namespace_expressions),
    )
    for name, labels, expressions in selectors:
        chosen = _chosen("match", expressions=expressions)
        if labels:
            chosen["matchLabels"] = dict(labels)
        if chosen:
            made[name] = chosen
    if term.namespaces:
        made["namespaces"] = [*term.namespaces]
    return made
