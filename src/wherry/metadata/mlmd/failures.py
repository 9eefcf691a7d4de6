"""What ML Metadata's clients tell apart from other errors."""

from wherry.objects import errors


class PreconditionError(errors.BadRequestError):
    """What is to be changed is not as the caller believes."""
