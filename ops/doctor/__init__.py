"""Compares state, account and cluster, and names the command that repairs each difference."""
