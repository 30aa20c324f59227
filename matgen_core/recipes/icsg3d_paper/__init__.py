"""The published iCSG3D as a baseline (Court 2020)."""
