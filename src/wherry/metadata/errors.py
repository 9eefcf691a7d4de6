"""What can go wrong with a database. Known without SQLAlchemy."""


class DatabaseError(Exception):
    """The database cannot be used; the message says which and why, without any password."""


class DuplicateError(DatabaseError):
    """A row is there already that may be there once."""
