"""Workflows that have ended, kept when their objects are gone."""
