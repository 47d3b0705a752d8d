"""What the DigitalOcean account holds, who owns it, and what it costs."""
