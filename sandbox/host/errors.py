"""The errors that a command of the sandbox prints in one line."""


class SandboxError(Exception):
    """The message says what is wrong and, where there is one, the fix."""
