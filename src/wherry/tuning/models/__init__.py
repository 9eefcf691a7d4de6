"""What search algorithms learn with: densities, processes, trees, populations.

Everything here works in the cube (`space.Space.encode`) and minimises. NumPy and SciPy are imported
here, so that only whoever proposes may import this folder, and only while it does.
"""
