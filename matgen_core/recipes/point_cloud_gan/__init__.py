"""Crystals of an asked composition as a cell and sites, by a generator and its critic (Kim 2020)."""
