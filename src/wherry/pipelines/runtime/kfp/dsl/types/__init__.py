"""Types of artifacts, and the annotations that components carry."""
