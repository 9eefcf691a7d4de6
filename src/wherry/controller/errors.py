"""Why a reconcile did not finish, by what the loop should do about it."""


class Retry(Exception):  # noqa: N818 - the name is what a reconciler says, and the contract's
    """Look again after a while; nothing is wrong, so nothing is logged.

    Attributes:
        after_seconds: How long to wait.
    """

    def __init__(self, after_seconds: float, why: str = "") -> None:
        super().__init__(why or f"again in {after_seconds:g} s")
        self.after_seconds = after_seconds


class Terminal(Exception):  # noqa: N818 - likewise
    """Trying again would not help: wait until the object or its children change."""


class ForeignOwnerError(Exception):
    """A child's name is taken by an object that another owner controls."""
