"""Commands that a person, or a tool of theirs, runs beside Pulumi."""
