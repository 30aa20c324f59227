"""A latent space: its points, the materials in it, maps of it, groups and selections on them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
