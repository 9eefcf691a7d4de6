"""Checks on what is written about rights, and what tokens and certificates are issued."""
