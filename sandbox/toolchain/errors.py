"""Errors of the toolchain."""


class ToolsError(Exception):
    """A tool can't be had; the message says why and what to do."""
