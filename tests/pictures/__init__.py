"""The pictures of the documentation, each drawn from what the project does: `make pictures`."""
