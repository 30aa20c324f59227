"""Crystals of any symmetry as voxels (Hoffmann 2019)."""
