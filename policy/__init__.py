"""The policy pack: rules that a preview or an update of a stack must pass (docs/how-to/write-a-policy.md)."""
