"""Measurements of what was found."""
