"""Starts the commands: python -m ops."""

import gc

# The imports create objects that live until the end of the command. Collecting garbage meanwhile finds none.
gc.disable()

from ops.cli import app  # noqa: E402 -- the collector has to be disabled before the imports
from ops.cli.terminal import end_without_output  # noqa: E402 -- as above

gc.freeze()
gc.enable()


def main() -> None:
    """Runs a command. Exit status 3 also if its output can't be written."""
    try:
        app()
    except OSError as error:
        # Without a file's name it is stdout or stderr that couldn't be written.
        if error.filename is not None:
            raise
        end_without_output(error)


if __name__ == "__main__":
    main()
