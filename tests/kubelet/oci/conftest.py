from wherry.testing.daemons import daemon, started_daemon
from wherry.testing.registries import base, image, registry, runc

__all__ = ["base", "daemon", "image", "registry", "runc", "started_daemon"]
