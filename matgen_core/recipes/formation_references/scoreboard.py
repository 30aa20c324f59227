"""The scoreboard of the crystal generators here, and of what needs no network, by one protocol.

For each NAME, the third line where the GPU is:

    matgen generate NAME -n 1000 --seed 0 --out NAME
    matgen validate NAME --prepare NAME.safetensors
    python -m matgen_core.networks.potentials --arrays NAME.safetensors --out NAME.relaxed.safetensors --device cuda
    matgen validate NAME --from NAME.relaxed.safetensors --out NAME.judged --scoreboard NAME

Then `matgen measure formation_references scoreboard` takes them over.
"""

from typing import Any

from matgen_core.tasks.validation import scoreboards

GENERATORS = ("voxel_vae", "icsg3d", "icsg3d_perov5", "icsg3d_paper", *scoreboards.NETWORK_FREE)


def scoreboard(n: int, seed: int) -> dict[str, Any]:
    """Gather the scores that were kept on this machine.

    Args:
        n: Samples asked of each generator.
        seed: Of each; it is noted, since a score does not tell.

    Raises:
        ValueError: If one is missing, or was reached by another protocol or number of samples.
    """
    own = scoreboards.own()
    missing = [name for name in GENERATORS if name not in own]
    if missing:
        raise ValueError(
            f"no score of {', '.join(missing)} is kept; matgen validate FOLDER --scoreboard NAME makes one"
        )
    scores = {name: own[name] for name in GENERATORS}
    protocols = [score.pop("protocol") for score in scores.values()]
    other = [name for name, each in zip(scores, protocols, strict=True) if each != protocols[0]]
    other += [name for name, score in scores.items() if score["n"] != n]
    if other:
        raise ValueError(f"{', '.join(other)}: another protocol than {GENERATORS[0]}, or not {n:,} samples")
    return {"n": n, "seed": seed, "chance": scoreboards.chance(n) / 100, "protocol": protocols[0], "scores": scores}
