package main

// The sandbox's buildkitd runs its steps with runc: without the worker that asks containerd its client isn't compiled.
