"""An ACME server and the name servers that it queries, for stacks with a domain."""
