"""The `digitalocean` Pulumi provider: a stand-in for the official plugin, with its tokens, rules, API calls and flaws.

It has the resources and functions that the program uses and refuses every other by name.
"""
