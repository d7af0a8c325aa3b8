"""The engine over HTTP: the text-generation and OpenAI routes, read and written byte by byte."""
