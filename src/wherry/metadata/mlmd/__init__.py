"""ML Metadata's model on our tables: typed nodes, events, contexts, lineage, as its clients know them."""
