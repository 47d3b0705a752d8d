"""Container images: the registry, and the images that are built and pushed."""
