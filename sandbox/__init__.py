"""DigitalOcean on one machine: for trying the program without an account and for testing it."""
