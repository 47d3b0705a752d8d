"""The real engine on the sandbox, and the stand-ins against clients that others wrote."""

import pytest

# pytest rewrites the asserts of these helpers too, to show the compared values.
pytest.register_assert_rewrite("tests.e2e.stack")
