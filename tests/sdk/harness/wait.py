"""Waiting for a condition, with a deadline and never for a length of time."""

import time

# Generous: a machine under load is slow, and a condition that holds ends the wait at once.
WITHIN = 20.0
LOOK_EVERY = 0.01


def until(condition, what, within=WITHIN):
    """Calls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what() if callable(what) else what}")
        time.sleep(LOOK_EVERY)
