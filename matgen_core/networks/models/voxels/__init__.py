"""Networks over crystals drawn as voxels."""
