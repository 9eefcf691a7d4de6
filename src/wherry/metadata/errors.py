"""What can go wrong with a database. Known without SQLAlchemy."""


class DatabaseError(Exception):
    """The database cannot be used; the message says which and why, without any password."""


class UnstorableError(DatabaseError):
    """What was to be stored is too large, or no JSON: it would be refused again."""


class DuplicateError(DatabaseError):
    """A row is there already that may be there once."""
