"""Cubic crystals as voxels (Court 2020)."""
