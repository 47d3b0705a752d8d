"""The real engine on the sandbox, and the stand-ins against clients that others wrote."""

import pytest

# Its asserts are to say what they saw, like those of the tests that call them.
pytest.register_assert_rewrite("tests.e2e.stack")
