"""Pages of what artifacts hold: metrics, tables, texts. Without scripts, and without a byte from elsewhere."""
