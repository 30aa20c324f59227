"""Parts of the page Compositions."""
