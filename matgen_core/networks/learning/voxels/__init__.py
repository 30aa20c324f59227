"""Learners of the networks over voxels."""
