"""Starts the commands: python -m ops."""

import gc

# The imports create objects that live until the end of the command. Collecting garbage meanwhile finds none.
gc.disable()

from ops.cli import app  # noqa: E402 -- the collector has to be disabled before the imports

gc.freeze()
gc.enable()

if __name__ == "__main__":
    app()
