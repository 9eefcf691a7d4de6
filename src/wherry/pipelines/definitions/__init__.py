"""Pipelines that are kept by name, their versions, and what they are made from."""
