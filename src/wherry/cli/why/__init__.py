"""What holds an object back: a pure walk from the object down to the cause, and its mend.

`causes` holds one module for each family of kinds: an object in, a `Finding` out. They ask `World`
for what they need and know nothing of how it is fetched; `inquiry` lets them ask until they know.
"""
