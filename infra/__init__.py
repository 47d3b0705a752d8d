"""The stack's components, one concern a file."""
