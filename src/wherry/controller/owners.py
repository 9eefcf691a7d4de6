"""Owner references: who made a child, and whose it is to change."""

from wherry.controller.errors import ForeignOwnerError
from wherry.objects import metadata
from wherry.objects.requests import Object


def set_controller(child: Object, owner: Object) -> Object:
    """Make ``owner`` the controller of ``child``, in place, and return the child.

    Args:
        child: An object about to be created or applied.
        owner: A stored object; in the child's namespace or cluster-scoped.

    Raises:
        ForeignOwnerError: the child names another controller already.
    """
    check_controller(child, metadata.uid(owner))
    fields = child.setdefault("metadata", {})
    others = [ref for ref in metadata.owner_references(child) if ref["uid"] != metadata.uid(owner)]
    fields["ownerReferences"] = [*others, metadata.owner_reference(owner)]
    return child


def check_controller(obj: Object, uid: str) -> None:
    """Check that ``uid`` may control an object: it does, or nobody does.

    Raises:
        ForeignOwnerError: somebody else does.
    """
    reference = metadata.controller_of(obj)
    if reference is not None and reference.get("uid") != uid:
        where = "/".join(part for part in metadata.namespaced_name(obj) if part)
        raise ForeignOwnerError(
            f"{obj.get('kind', 'object')} {where} belongs to {reference.get('kind')} "
            f"{reference.get('name')} (uid {reference.get('uid')}); rename one of the two owners, "
            "or delete the object"
        )


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Return whether ``owner`` is the controller of ``obj``, by uid."""
    reference = metadata.controller_of(obj)
    return reference is not None and reference.get("uid") == metadata.uid(owner)
