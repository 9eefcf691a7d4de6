"""The Common Expression Language, as Kubernetes uses it in rules and policies.

Loaded when the first rule is stored or read. No library is used: see the decision on dependencies.
"""
