"""Katib's gRPC API: the database of metrics, search algorithms and early stopping as services.

Served by a process of its own (`__main__`), which a relay starts when somebody connects: gRPC is
large, and most platforms are never asked.
"""
