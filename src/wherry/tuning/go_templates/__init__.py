"""The language of Go's text/template, in which trials of ``v1alpha3`` are written."""
