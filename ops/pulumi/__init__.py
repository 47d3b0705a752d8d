"""The stack in Pulumi: the CLI, the configuration, the state and the backend's files."""
