"""Parts of the sandbox that need none of its processes."""
