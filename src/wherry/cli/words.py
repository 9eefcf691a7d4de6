"""Numbers and nouns that agree."""


def counted(count: int, noun: str) -> str:
    """Return ``1 pod``, ``2 pods``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
