"""A screening for 2D materials (Song 2021)."""
