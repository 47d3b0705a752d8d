"""The stack as the Pulumi CLI knows it: configuration, state and locks."""
