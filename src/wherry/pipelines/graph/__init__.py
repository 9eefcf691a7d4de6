"""Walking a graph of steps, whatever language it was written in.

Knows nodes, what they wait for, loops, retries and limits. What a value is and where it comes from is the
language's affair (`language.Language`). Pure: no I/O, no clock.
"""
