"""A stand-in for DigitalOcean: API v2 with its delays, refusals and bill, and the cloud controller's load balancers.

Imports nothing: `provider`, which every `pulumi` command starts, needs nothing of the API.
"""
