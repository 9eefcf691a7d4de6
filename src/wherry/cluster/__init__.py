"""The products' controllers and webhooks against a Kubernetes that is somebody else's.

The counterpart of `embedded`: there everything runs in one process with its own API; here only what
Kubernetes does not have is run, and the API is any that a kubeconfig names.
"""
