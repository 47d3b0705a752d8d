"""Tests and benches."""

import signal

# A shell's background job ignores SIGINT, and so do its children. Pulumi ends its language host by SIGINT, and waits
# 5 seconds for it: each `up` and `preview` would take that much longer.
signal.signal(signal.SIGINT, signal.default_int_handler)
