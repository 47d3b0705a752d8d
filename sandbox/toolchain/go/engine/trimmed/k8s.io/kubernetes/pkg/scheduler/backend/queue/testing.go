package queue

// What only the scheduler's own tests call is left out: it alone brings the fake of every Kubernetes client.
