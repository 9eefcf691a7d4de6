"""What can go wrong with code that is to travel."""


class PackagingError(Exception):
    """The code cannot travel as it is; the message says why, and what to do instead."""
