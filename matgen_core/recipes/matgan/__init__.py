"""Formulas by a generator and its critic (Dan 2020)."""
