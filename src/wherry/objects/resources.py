"""What a resource is: the row of discovery that says how a kind is served.

The built-in rows are in `kinds.py`; custom resources make theirs from their definition.
"""

from dataclasses import dataclass

ALL_VERBS = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource in one version.

    Attributes:
        group: API group, empty for the core group.
        version: API version, e.g. ``v1``.
        plural: The name in URLs, e.g. ``deployments``.
        kind: The name in objects, e.g. ``Deployment``.
        singular: Lower-case name for command lines, e.g. ``deployment``.
        namespaced: Whether objects live in a namespace.
        short_names: Abbreviations kubectl accepts, e.g. ``("deploy",)``.
        categories: Groups such as ``all`` that ``kubectl get all`` expands.
        verbs: What may be done with it.
        subresources: Names below an object, e.g. ``("status", "scale")``.
    """

    group: str
    version: str
    plural: str
    kind: str
    singular: str = ""
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """``apps/v1``, or ``v1`` for the core group: what stands in `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key(self) -> str:
        """``deployments.apps``, or ``pods``: the resource whatever the version; names it in the store."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """Return the URL path.

        Args:
            namespace: Namespace; None for cluster-scoped resources and for all namespaces.
            name: Object name; None for the collection.
            subresource: Below the object; needs a name.
        """
        parts = ["/apis", self.group] if self.group else ["/api"]
        parts.append(self.version)
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
            if subresource:
                parts.append(subresource)
        return "/".join(parts)
