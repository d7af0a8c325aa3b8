"""How JSON values are written down: the style, strings, numbers."""
