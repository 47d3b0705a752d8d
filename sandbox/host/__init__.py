"""The sandbox's use of the host: addresses, paths, processes, progress output, TCP forwarding, certificates."""
