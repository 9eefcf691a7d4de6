"""Nobody gives away rights that they do not hold: checks on writes of roles and bindings.

Who may ``escalate`` a role or ``bind`` it, and members of ``system:masters``, are exempt. Source:
`pkg/registry/rbac/*/policybased` of Kubernetes.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wherry.apiserver.auth import rule_cover
from wherry.apiserver.authorization import RoleAuthorizer, Rule
from wherry.apiserver.identity import MASTERS, Attributes
from wherry.apiserver.strategies import accounts
from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context, Strategy
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_ROLES = (kinds.ROLES, kinds.CLUSTER_ROLES)
_BINDINGS = (kinds.ROLE_BINDINGS, kinds.CLUSTER_ROLE_BINDINGS)
_ROLE_KINDS: Mapping[Any, Resource] = {"Role": kinds.ROLES, "ClusterRole": kinds.CLUSTER_ROLES}


def strategies(authorizer: RoleAuthorizer) -> dict[str, Strategy]:
    """Return the strategies of roles and bindings with the checks in front, by resource key.

    Args:
        authorizer: Knows what the writer holds.
    """
    guard = _Guard(authorizer)
    return {
        **{each.key: _guarded(each, guard.check_role) for each in _ROLES},
        **{each.key: _guarded(each, guard.check_binding) for each in _BINDINGS},
    }


def _guarded(resource: Resource, check: Callable[[Object, Object | None, Context], None]) -> Rules:
    base = accounts.STRATEGIES[resource.key]

    def on_create(obj: Object, context: Context) -> None:
        base.on_create(obj, context)
        check(obj, None, context)

    def on_update(obj: Object, old: Object, context: Context) -> None:
        base.on_update(obj, old, context)
        check(obj, old, context)

    return dataclasses.replace(base, on_create=on_create, on_update=on_update)


class _Guard:
    def __init__(self, authorizer: RoleAuthorizer) -> None:
        self._authorizer = authorizer

    def check_role(self, obj: Object, old: Object | None, context: Context) -> None:
        """Refuse a role with more rights than its writer has.

        Raises:
            ForbiddenError: It has; the message lists the rights.
        """
        if MASTERS in context.user.groups or _same(obj, old, "rules", "aggregationRule"):
            return
        if self._may(context, "escalate", context.resource, obj):
            return
        if obj.get("aggregationRule") or (old or {}).get("aggregationRule"):
            # It gathers what it likes, and writing it by hand would undo what was gathered.
            owned = self._authorizer.rules(context.user, "")
            if not rule_cover.holds_everything(owned):
                why = "must have cluster-admin privileges to use the aggregationRule"
                raise _forbidden(obj, context, why)
        self._check_rules([Rule.compile(rule) for rule in obj.get("rules") or ()], obj, context)

    def check_binding(self, obj: Object, old: Object | None, context: Context) -> None:
        """Refuse a binding to a role with more rights than its writer has.

        Raises:
            ForbiddenError: It has; the message lists the rights.
            NotFoundError: The role does not exist, so what it will grant is not known.
        """
        if MASTERS in context.user.groups or _same(obj, old, "roleRef", "subjects"):
            return
        reference = obj.get("roleRef") or {}
        role = _ROLE_KINDS.get(reference.get("kind"))
        name = reference.get("name")
        if role is None or not isinstance(name, str):
            return  # validation will say what is wrong with it
        if self._may(context, "bind", role, {"metadata": {**obj["metadata"], "name": name}}):
            return
        rules = self._authorizer.role_rules(reference["kind"], name, metadata.namespace(obj))
        if rules is None:
            raise errors.not_found(role.plural, name, role.group)
        self._check_rules(rules, obj, context)

    def _may(self, context: Context, verb: str, role: Resource, place: Object) -> bool:
        asked = Attributes(
            context.user,
            verb,
            group=role.group,
            version=role.version,
            resource=role.plural,
            namespace=metadata.namespace(place),
            name=metadata.name(place),
        )
        return self._authorizer.authorize(asked).allowed

    def _check_rules(self, wanted: Sequence[Rule], obj: Object, context: Context) -> None:
        user = context.user
        owned = self._authorizer.rules(user, metadata.namespace(obj))
        try:
            missing = rule_cover.uncovered(owned, wanted)
        except ValueError as error:
            raise _forbidden(obj, context, str(error)) from error
        if not missing:
            return
        groups = " ".join(json.dumps(group) for group in user.groups)
        why = (
            f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not '
            "currently held:\n" + "\n".join(rule_cover.describe(missing))
        )
        raise _forbidden(obj, context, why)


def _same(obj: Object, old: Object | None, *fields: str) -> bool:
    if old is None:
        return False
    return all((obj.get(field) or None) == (old.get(field) or None) for field in fields)


def _forbidden(obj: Object, context: Context, why: str) -> errors.ForbiddenError:
    resource = context.resource
    return errors.forbidden(resource.plural, metadata.name(obj), why, resource.group)
