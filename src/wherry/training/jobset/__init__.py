"""JobSet (``jobset.x-k8s.io/v1alpha2``): Jobs that make up one piece of work.

Trainer v2 runs everything as a JobSet, and people write them by hand. Where a cluster has the JobSet
controller of its own, these kinds are simply not installed.
"""
