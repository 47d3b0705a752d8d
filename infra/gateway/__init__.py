"""Kong with its controller, its objects, the rate-limit store, the certificate and the DNS record."""
