"""A checkpoint is a folder that is read whole or not at all.

`weights.safetensors` holds the network's tensors and, under `representation.`, the arrays of its
representation; `config.json` says what they are; `metrics.json` and `card.md` are written by the training
run; `index.parquet` holds the training materials of a model with an encoder, and `known.parquet` the keys of the
formulas that a generator of formulas was trained on. `config.json` has the SHA-256 of each, and of itself, so that
damage is noticed. No pickle is ever read.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
