"""The configuration of a stack: typed models, checks, policy table, pinned versions. Imports no Pulumi SDK."""
