"""Checks on compositions and structures: pass, fail or undecided, each with its reason."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
