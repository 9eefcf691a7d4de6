"""Access reviews and token reviews: the questions clients ask about rights and identity.

Each class answers the creation of one virtual resource (`virtual.Virtual`). Source:
`authorization.k8s.io/v1`, `authentication.k8s.io/v1`.
"""

from collections.abc import Mapping
from typing import Any

from wherry.apiserver.authentication import RequestAuthenticator
from wherry.apiserver.authorization import RoleAuthorizer, Rule
from wherry.apiserver.identity import Attributes, Authorizer, User
from wherry.apiserver.virtual import Virtual
from wherry.objects import errors, kinds, metadata
from wherry.objects.errors import Cause
from wherry.objects.requests import Object


class AccessReview:
    """SubjectAccessReview, LocalSubjectAccessReview and SelfSubjectAccessReview."""

    def __init__(self, authorizer: Authorizer, *, of_self: bool = False) -> None:
        """Take who decides.

        Args:
            authorizer: Decides.
            of_self: Whether the question is about the one who asks.
        """
        self._authorizer = authorizer
        self._of_self = of_self

    async def create(self, obj: Object, user: User) -> Object:
        """Return the review with the decision.

        Raises:
            InvalidError: it does not say who or what is asked about.
        """
        spec = obj.get("spec") or {}
        if namespace := metadata.namespace(obj):
            _check_local(obj, spec, namespace)
        subject = user if self._of_self else _subject(obj, spec)
        decision = self._authorizer.authorize(_asked(obj, spec, subject))
        status: Object = {"allowed": decision.allowed}
        if decision.reason:
            status["reason"] = decision.reason
        return {**obj, "status": status}


def _check_local(obj: Object, spec: Mapping[str, Any], namespace: str) -> None:
    # Who may ask about one namespace may not therefore ask about others.
    if spec.get("nonResourceAttributes"):
        message = "Invalid value: disallowed on this kind of request"
        raise _invalid(obj, "spec.nonResourceAttributes", message)
    asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
    if asked != namespace:
        message = f'Invalid value: "{asked}": must match metadata.namespace'
        raise _invalid(obj, "spec.resourceAttributes.namespace", message)


def _subject(obj: Object, spec: Mapping[str, Any]) -> User:
    if not spec.get("user") and not spec.get("groups"):
        raise _invalid(obj, "spec.user", 'Required value: at least one of "user" or "groups"')
    extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
    groups = tuple(spec.get("groups") or ())
    return User(spec.get("user", ""), uid=spec.get("uid", ""), groups=groups, extra=extra)


def _asked(obj: Object, spec: Mapping[str, Any], user: User) -> Attributes:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if bool(resource) == bool(path):
        message = "Invalid value: exactly one of resourceAttributes or nonResourceAttributes must be given"
        raise _invalid(obj, "spec.resourceAttributes", message)
    if not resource:
        path = path or {}
        return Attributes(user, path.get("verb", ""), path=path.get("path", ""))
    return Attributes(
        user,
        resource.get("verb", ""),
        group=resource.get("group", ""),
        version=resource.get("version", ""),
        resource=resource.get("resource", ""),
        subresource=resource.get("subresource", ""),
        namespace=resource.get("namespace", ""),
        name=resource.get("name", ""),
    )


def _invalid(obj: Object, field: str, message: str) -> errors.InvalidError:
    return errors.invalid(str(obj.get("kind", "")), metadata.name(obj), [Cause(field, message)])


class RulesReview:
    """SelfSubjectRulesReview: everything the one who asks may do in a namespace."""

    def __init__(self, authorizer: RoleAuthorizer) -> None:
        self._authorizer = authorizer

    async def create(self, obj: Object, user: User) -> Object:
        """Return the review with all rules.

        Raises:
            BadRequestError: no namespace is named.
        """
        namespace = (obj.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise errors.BadRequestError("spec.namespace must name the namespace to look at")
        rules = self._authorizer.rules(user, namespace)
        status = {
            "resourceRules": [_resource_rule(rule) for rule in rules if not rule.paths],
            "nonResourceRules": [
                {"verbs": sorted(rule.verbs), "nonResourceURLs": list(rule.paths)}
                for rule in rules
                if rule.paths
            ],
            "incomplete": False,
        }
        return {**obj, "status": status}


def _resource_rule(rule: Rule) -> Object:
    result: Object = {
        "verbs": sorted(rule.verbs),
        "apiGroups": sorted(rule.groups),
        "resources": sorted(rule.resources),
    }
    if rule.names:
        result["resourceNames"] = sorted(rule.names)
    return result


class SelfReview:
    """SelfSubjectReview: who the server thinks one is."""

    async def create(self, obj: Object, user: User) -> Object:
        """Return the review with the user."""
        return {**obj, "status": {"userInfo": _user_info(user)}}


def _user_info(user: User) -> Object:
    info: Object = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info


class TokenReview:
    """TokenReview: whose a token is."""

    def __init__(self, authenticator: RequestAuthenticator) -> None:
        self._authenticator = authenticator

    async def create(self, obj: Object, user: User) -> Object:
        """Return the review with the user of the token, or why there is none.

        Raises:
            BadRequestError: no token is given.
        """
        spec = obj.get("spec") or {}
        token = spec.get("token", "")
        if not token:
            raise errors.BadRequestError("spec.token must hold the token to review")
        audiences = tuple(spec.get("audiences") or ())
        # The token is a secret: it is not sent back.
        answer = {**obj, "spec": {key: value for key, value in spec.items() if key != "token"}}
        try:
            found, meant = self._authenticator.review(token, audiences)
        except errors.UnauthorizedError as error:
            return {**answer, "status": {"authenticated": False, "error": error.message}}
        status = {
            "authenticated": True,
            "user": _user_info(found),
            "audiences": list(meant),
        }
        return {**answer, "status": status}


def virtuals(authorizer: RoleAuthorizer, authenticator: RequestAuthenticator) -> dict[str, Virtual]:
    """Return who answers each review, by resource key."""
    access = AccessReview(authorizer)
    return {
        kinds.SUBJECT_ACCESS_REVIEWS.key: access,
        kinds.LOCAL_SUBJECT_ACCESS_REVIEWS.key: access,
        kinds.SELF_SUBJECT_ACCESS_REVIEWS.key: AccessReview(authorizer, of_self=True),
        kinds.SELF_SUBJECT_RULES_REVIEWS.key: RulesReview(authorizer),
        kinds.SELF_SUBJECT_REVIEWS.key: SelfReview(),
        kinds.TOKEN_REVIEWS.key: TokenReview(authenticator),
    }
