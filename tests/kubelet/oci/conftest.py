from wherry.testing.registries import base, image, registry, runc

__all__ = ["base", "image", "registry", "runc"]
