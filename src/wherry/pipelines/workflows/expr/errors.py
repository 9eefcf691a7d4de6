"""What goes wrong with expressions."""


class ExprError(ValueError):
    """An expression cannot be read, or has no value; the message says why."""


class UnknownNameError(ExprError):
    """An expression uses a name that there is not.

    Attributes:
        name: Which.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"unknown name {name}")
