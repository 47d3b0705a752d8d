"""Container registries and their token service."""
