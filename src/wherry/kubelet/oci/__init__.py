"""Real images: from a name to a registry, to layers on disk, to what an OCI runtime runs.

Knows neither pods nor the API; `runtimes/oci.py` puts it to work for them.
"""
