"""Schemas to shapes: places, keywords, the graph and its normal forms."""
