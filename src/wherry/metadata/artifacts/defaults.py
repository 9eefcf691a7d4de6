"""What is meant where nobody has said anything. A room of its own, for rights are told before any store is needed."""

from typing import Final

SECRET: Final = "mlpipeline-minio-artifact"  # noqa: S105 - the name of a Secret
"""Where the keys of ``minio://`` are; upstream's name."""
