"""Parts of the structure bench."""
