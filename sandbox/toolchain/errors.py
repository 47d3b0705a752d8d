"""Errors of the toolchain."""

from sandbox.host.errors import SandboxError


class ToolsError(SandboxError):
    """A tool can't be had; the message says why and what to do."""
