"""Pictures of graphs, and of runs of them: SVG, made without a server and without a browser."""
