"""Recurring runs: when they are due, what they are given, and the objects that say so."""
