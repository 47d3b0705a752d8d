package generic

// What only the API server's own tests call is left out: it alone brings the fake of every Kubernetes client.
