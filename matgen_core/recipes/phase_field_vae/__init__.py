"""Phase fields ranked by restoration error (Vasylenko 2021)."""
