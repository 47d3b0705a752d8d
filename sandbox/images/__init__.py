"""Container images without a Docker engine: base images, registry, BuildKit."""
