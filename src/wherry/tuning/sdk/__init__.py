"""Tuning from Python: `tune` a function, follow the search, look at what it has found.

Read `starting.py` first, then `search.py` (what one can do with a search). `results.py` reads trials,
`plots.py` draws them.
"""
