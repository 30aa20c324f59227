"""Figures for models that reconstruct or generate crystals, by the protocol that the field compares with."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
