package dnsserver

// DNS over QUIC has no place in the sandbox.
