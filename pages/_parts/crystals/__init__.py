"""Parts of the page Crystals, and cards of crystals on other pages."""
