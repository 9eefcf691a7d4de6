"""What the benches share: rows, processes and their CPU time, the load and the bare server."""
