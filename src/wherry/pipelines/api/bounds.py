"""Numbers in requests, with their bounds. Pure."""

from wherry.objects import errors
from wherry.objects.requests import Object


def within(request: Object, name: str, usual: int, most: int) -> int:
    """Return a number that a request has.

    Args:
        request: The request.
        name: Of the field.
        usual: What it is where the request does not have it.
        most: The largest that is taken; the smallest is 0.

    Raises:
        BadRequestError: it is beyond its bounds.
    """
    value = int(request.get(name, usual))
    if not 0 <= value <= most:
        raise errors.BadRequestError(f"{name}: {value}: want 0 to {most}")
    return value
