"""The commands, each a function of its own: those that only read, and those that repair."""

# Each command registers itself. `--help` and the reference page list them in this order.
from ops.cli import reading as reading
from ops.cli import repairs as repairs
from ops.cli.command import app as app
