"""HTTP before the registry: paths, bodies, forms, streams, and what is served besides resources."""
