"""Formulas under wanted properties (Pathak 2020)."""
