from wherry.testing.fixtures import platform, running, shared_platform

__all__ = ["platform", "running", "shared_platform"]
