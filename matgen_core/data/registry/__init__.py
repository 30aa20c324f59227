"""The data sets: what is known of each, and where its file lies. Nothing that computes is imported."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
