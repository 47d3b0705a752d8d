"""The DigitalOcean account: its resources, their owners and their prices."""
