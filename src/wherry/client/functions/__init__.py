"""Python code as something that a pod can run: found, packed, sent, and run there.

What `wherry.train` and `wherry.tune` have in common.
"""
