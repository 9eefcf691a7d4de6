"""Argo's Workflows on the parts of the pipelines: their language, their objects, their pods."""
