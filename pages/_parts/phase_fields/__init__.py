"""Parts of the page Phase fields."""
