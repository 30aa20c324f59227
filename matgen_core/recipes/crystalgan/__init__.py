"""CrystalGAN (Nouira 2018)."""
