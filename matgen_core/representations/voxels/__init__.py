"""Crystals as voxels and back."""
