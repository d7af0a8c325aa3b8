"""Regular expressions, two dialects, to terms over any alphabet."""
