"""The potentials there are, by name; each is imported when it is loaded, with the package that brings its weights."""

from importlib.util import find_spec

import torch

from matgen_core.networks.potentials.chgnet import CHGNet
from matgen_core.networks.potentials.evaluation import Potential
from matgen_core.networks.potentials.sevennet import SEVENNETS, SevenNet

POTENTIALS = (*SEVENNETS, "chgnet")


def check_potential(name: str) -> None:
    """Refuse what cannot be loaded here, without loading it.

    Raises:
        ValueError: If there is no such potential, or its package, which brings the weights, is not installed.
    """
    if name not in POTENTIALS:
        raise ValueError(f"{name!r} is no potential; known: {', '.join(POTENTIALS)}")
    package, version = ("chgnet", "0.4.2") if name == "chgnet" else ("sevenn", "0.13.0")
    if find_spec(package) is None:
        raise ValueError(
            f"{name} needs the package {package}, which brings its weights; pip install {package}=={version}"
        )


def load_potential(name: str, device: str = "cpu") -> Potential:
    """Load a potential by its name, with the weights that its package brings; nothing is fetched.

    Args:
        name: One of `POTENTIALS`.
        device: "cpu" or "cuda".

    Raises:
        ValueError: If there is no such potential or device, or the package is not installed.
    """
    check_potential(name)
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device {device!r}: expected cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device 'cuda': this machine has no GPU that torch can use; take cpu")
    return CHGNet(device) if name == "chgnet" else SevenNet(name, device)
