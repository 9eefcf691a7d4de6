"""An API that is somebody else's: reached over HTTPS only, and it knows no product."""

from wherry.testing.fixtures import platform

__all__ = ["platform"]
