"""How much Hypothesis tries: a little each time, the same; a lot, and something else each time, with `make soak`."""

from hypothesis import settings

# Durations are the machine's; a test that hangs ends by its own time-out.
settings.register_profile("quick", deadline=None, max_examples=25, derandomize=True, database=None)
settings.register_profile("soak", deadline=None, max_examples=2000, database=None, print_blob=True)
settings.load_profile("quick")
