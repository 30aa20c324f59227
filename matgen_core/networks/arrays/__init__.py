"""Materials as arrays in torch: drawn, read, packed, saved and loaded without anything that knows chemistry."""
