"""Grammar to language: what may be said, over bytes; knows no token."""
