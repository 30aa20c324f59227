"""From two binary hydrides to ternary ones, by a network that translates."""

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach_stub(__name__, __file__)
