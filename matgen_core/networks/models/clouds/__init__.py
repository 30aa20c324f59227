"""Networks over crystals as point clouds: a cell, and sites in slots."""
