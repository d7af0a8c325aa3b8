"""The wire contract: grammar field, parameters, request, response and errors."""
