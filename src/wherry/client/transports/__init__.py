"""Ways for a request to reach an API server; the in-process one lives with the embedded server."""
