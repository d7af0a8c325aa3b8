"""Batch extraction: a table of texts in, a table of validated records out, resumable."""
