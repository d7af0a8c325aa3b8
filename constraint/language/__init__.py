"""Shapes to text: objects, arrays and values as terms."""
