"""Cuts, kills, lost answers and deletions by hand, on the real engine."""
