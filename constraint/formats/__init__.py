"""The languages of the `format` values of JSON Schema, as terms."""
