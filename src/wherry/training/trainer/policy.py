"""What a machine-learning policy is: how the nodes of a TrainJob find one another.

A policy is one file below `policies/`, and a line in its list.
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training.trainer.draft import Draft


class Policy:
    """What differs between frameworks. Subclasses keep no state; all methods are pure."""

    field: ClassVar[str] = ""
    """Its name in ``spec.mlPolicy`` of a runtime; empty for what a runtime without any gets."""
    reserved: ClassVar[frozenset[str]] = frozenset()
    """Variables that it sets, and users may not."""

    def validate(self, draft: Draft) -> Iterable[Cause]:
        """Return what is wrong with a TrainJob by this policy's own rules."""
        del draft
        return ()

    def enforce(self, draft: Draft) -> None:
        """Tell the containers of a draft of one another, in place."""

    def companions(self, draft: Draft) -> Sequence[Object]:
        """Return further objects that the nodes need, made once and left alone afterwards."""
        del draft
        return ()
