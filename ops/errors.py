"""The one error that ends a command of ops, and the exit statuses."""

PROBLEM, UNCHECKED = 1, 3


class OpsError(Exception):
    """A command can't do its work; the message is one line that ends with the fix."""
