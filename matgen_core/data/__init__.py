"""Data sets: what is known, what is installed, reading, splitting, importing and fetching them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
