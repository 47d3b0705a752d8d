"""Droplets, volumes and volume snapshots."""
