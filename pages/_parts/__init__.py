"""Parts of pages: components of their own, what several share, and the parts of one page."""
