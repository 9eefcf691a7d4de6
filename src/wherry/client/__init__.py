"""The only way in: Kubernetes API calls over HTTP or in process, with the same names and errors."""
