"""An ACME authority and the name servers that it asks, for stacks with a domain."""
