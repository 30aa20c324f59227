"""How networks over point clouds of crystals learn."""
