"""The stand-ins of the sandbox against clients that others wrote."""
