"""Compares state, account and cluster, and names the command that repairs each difference.

`snapshot` reads everything once, the checks are functions from a snapshot to findings, and docs/reference/failures.md
explains each finding under its id.
"""
