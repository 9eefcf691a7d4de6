"""The Kubernetes API over the store: verbs, schemas, watch streams, discovery, access, HTTP."""
