"""Sets of byte strings as terms: built, stepped, searched, measured."""
