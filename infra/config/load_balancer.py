"""DigitalOcean's marks on a Service object of type LoadBalancer, and the limits of its annotations."""

ID_ANNOTATION = "kubernetes.digitalocean.com/load-balancer-id"
"""Annotation that DigitalOcean's cloud controller sets on a Service object once it has its load balancer."""
CLEANUP_FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
"""Finalizer of a Service object until the cloud controller has deleted its load balancer."""
ANNOTATION_PREFIX = "service.beta.kubernetes.io/do-loadbalancer-"
QUICKEST_HEALTH_CHECK = {
    "check-interval-seconds": 3,
    "response-timeout-seconds": 3,
    "unhealthy-threshold": 2,
    "healthy-threshold": 2,
}
"""The smallest values that DigitalOcean accepts, by the annotation `healthcheck-<name>`."""
