"""What Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs have in common.

A selector that must match the labels of its template, numbers that are not negative, and amounts
given as a number or as per cent.

Source: ``pkg/apis/apps/validation``, ``apimachinery/pkg/apis/meta/v1/validation``.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from wherry.apiserver.strategies import causes
from wherry.apiserver.strategies.podspecs import rules, warnings
from wherry.objects import selectors
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

_PERCENT = re.compile(r"([0-9]+)%")
_PERCENT_FORM = "must be an integer or percentage (e.g '5%')"


def check_selector(
    path: str, selector: Mapping[str, Any] | None, template: Mapping[str, Any] | None
) -> list[Cause]:
    """Check a required label selector, and that it matches the template's labels.

    Args:
        path: Where the ``spec`` stands.
        selector: ``spec.selector``.
        template: ``spec.template``; None where there is none to be matched.
    """
    where = f"{path}.selector"
    if selector is None:
        return [causes.required(where)]
    found = check_selector_form(where, selector)
    if found:
        return found
    compiled = selectors.from_object(dict(selector))
    if compiled.empty:
        text = "empty selector is invalid: it would match every pod"
        return [causes.invalid(where, selector, text)]
    if template is None:
        return []
    labels = (template.get("metadata") or {}).get("labels") or {}
    if compiled.matches(labels):
        return []
    where = f"{path}.template.metadata.labels"
    return [causes.invalid(where, labels, "`selector` does not match template `labels`")]


def check_selector_form(path: str, selector: Mapping[str, Any] | None) -> list[Cause]:
    """Check that a label selector, if there is one, can be understood."""
    try:
        selectors.from_object(dict(selector or {}))
    except ValueError as error:
        return [causes.invalid(path, selector, str(error))]
    return []


def check_template(
    path: str, template: Mapping[str, Any] | None, policies: Iterable[str] = ("Always",)
) -> list[Cause]:
    """Check the template of a kind whose pods may only have certain restart policies."""
    where = f"{path}.template"
    spec = (template or {}).get("spec")
    if not template or not spec:
        return [causes.required(f"{where}.spec")]
    found = rules.check_template(where, dict(template))
    accepted = list(policies)
    if spec.get("restartPolicy") not in accepted:
        policy = spec.get("restartPolicy")
        found.append(causes.unsupported(f"{where}.spec.restartPolicy", policy, accepted))
    if spec.get("activeDeadlineSeconds") is not None and accepted == ["Always"]:
        why = "activeDeadlineSeconds in pods of this kind is not supported"
        found.append(causes.forbidden(f"{where}.spec.activeDeadlineSeconds", why))
    return found


def check_counts(path: str, spec: Mapping[str, Any], names: Iterable[str]) -> list[Cause]:
    """Check that the named numbers, as far as they are given, are not negative."""
    found: list[Cause] = []
    for name in names:
        found += causes.minimum(f"{path}.{name}", spec.get(name))
    return found


def check_amount(path: str, value: int | str | None) -> list[Cause]:
    """Check a number that is not negative, or a percentage of at most 100."""
    if value is None:
        return []
    if isinstance(value, int):
        return causes.minimum(path, value)
    match = _PERCENT.fullmatch(value)
    if match is None:
        return [causes.invalid(path, value, _PERCENT_FORM)]
    if int(match[1]) > 100:
        return [causes.invalid(path, value, "must not be greater than 100%")]
    return []


def is_nothing(value: int | str | None) -> bool:
    """Return whether a number or percentage is zero."""
    return value in {0, "0%"}


def warn_template(obj: Object) -> list[str]:
    """Return the warnings about the template in ``spec``."""
    return warnings.of((obj.get("spec") or {}).get("template") or {}, "spec.template.")
