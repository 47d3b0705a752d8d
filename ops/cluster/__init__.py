"""What ops reads from the Kubernetes API: Helm's release records and the load balancer's Service object."""
