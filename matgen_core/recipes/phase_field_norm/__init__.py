"""The closed form of the published ranking of phase fields (Vasylenko 2021)."""
