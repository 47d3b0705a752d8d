"""The inside of the cluster: Helm's records, the objects of the state, pods, Kong's load balancer."""
