"""Tests and benches."""

import signal

# A shell's background job ignores SIGINT, and so do its children. Pulumi ends its language host by SIGINT, and waits for
# it for 5 seconds: each `up` and `preview` would take that much longer.
signal.signal(signal.SIGINT, signal.default_int_handler)
