"""Parts of the page Journeys."""
