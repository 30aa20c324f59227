"""Formulas by a generator and its critic (after Dan 2020)."""
