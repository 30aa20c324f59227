"""Parts of the page Validate."""
