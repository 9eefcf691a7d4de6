from wherry.testing.fixtures import platform

__all__ = ["platform"]
