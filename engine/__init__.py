"""The engine: model, sampling, batching, streaming and the command line."""
