"""Artifacts of Workflows: where they are, how they get to a node's pod and from it."""
