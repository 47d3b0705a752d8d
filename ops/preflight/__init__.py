"""Checks that `pulumi up` can work, before it costs anything."""
