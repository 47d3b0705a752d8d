"""The tools that the sandbox runs, compiled from their Go modules or taken from the machine."""
