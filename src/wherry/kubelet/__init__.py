"""Pods become processes: the node agent, its volumes, probes, environments, logs and the launcher."""
