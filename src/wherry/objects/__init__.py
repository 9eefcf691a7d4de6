"""The vocabulary: metadata, selectors, quantities, conditions, patches, errors, the table of kinds. No I/O."""
