"""The controllers of tuning: they read, have the pure modules decide, and write."""
