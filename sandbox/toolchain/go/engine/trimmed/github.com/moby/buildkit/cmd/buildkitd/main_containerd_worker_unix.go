package main

// main_containerd_worker.go says why this is empty.
