"""The shipped checkpoints give the numbers that they gave when they were shipped.

The numbers stand in golden.json. After a checkpoint is trained anew, look at what changed and write them again:

    .venv/bin/python -m tests.test_golden
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pymatgen.core import Composition, Lattice, Structure

from matgen_core import checkpoint
from matgen_core.checkpoint import Checkpoint
from matgen_core.checks.physics import Energy, FormationEnergies
from matgen_core.latent.map import LatentMap
from matgen_core.latent.space import LatentSpace
from matgen_core.materials.fields import PhaseField
from matgen_core.tasks import funnel, ranking
from matgen_core.tasks.prediction import predict, predict_texts
from tests.support.crystals import NACL, of_group

GOLDEN = Path(__file__).parent / "golden.json"
TOLERANCE = 2e-3  # of a number; another processor rounds otherwise

SI = of_group("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0, 0, 0]])
SRTIO3 = of_group("Pm-3m", Lattice.cubic(3.905), ["Ti", "Sr", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0]])


def phase_fields(shipped: Checkpoint) -> dict[str, Any]:
    """Score of the field that led to a new conductor, and where it lies."""
    field = PhaseField.parse("Li-Sn-S-Cl")
    figures: dict[str, Any] = {"score": float(ranking.rank(shipped, [field])["score"].iloc[0])}
    if shipped.index is not None and "z" in shipped.index:
        figures["z"] = LatentMap(shipped).encode([field])[0].z[:3].tolist()
    return figures


def crystals(shipped: Checkpoint) -> dict[str, Any]:
    """Where SrTiO3 lies, what it and its cell come back as, and what the first points of the prior are."""
    space = LatentMap(shipped)
    z = space.encode([SRTIO3])[0].z
    back = space.decode(z[None])[0].material
    return {
        "z": z[:3].tolist(),
        "formula": back.composition.reduced_formula,
        "edge": back.lattice.a,
        "drawn": [
            item.material.composition.reduced_formula if item.material else ""
            for item in space.decode(space.sample(3, 0))
        ],
    }


def asked_crystals(shipped: Checkpoint) -> dict[str, Any]:
    """Where the critic sees an ordered rock salt, and what the first samples of a composition are."""
    space = LatentMap(shipped)
    rock_salt = Structure(
        Lattice.tetragonal(3.0, 4.3), ["Mg", "Mn", "O", "O"], [[0] * 3, [0.5] * 3, [0, 0, 0.5], [0.5, 0.5, 0]]
    )
    drawn = space.decode(space.sample(3, 0), space.cells(Composition("Mg2MnO4"), 3, 0))
    made = [each.material for each in drawn]
    return {
        "features": space.locate([rock_salt])[0].z[:4].tolist(),
        "asked": [each.composition.formula if each else "" for each in made],
        "volumes": [each.volume / len(each) if each else 0.0 for each in made],
        "drawn": [
            item.material.composition.formula if item.material else "" for item in space.decode(space.sample(3, 0))
        ],
    }


def properties(shipped: Checkpoint) -> dict[str, Any]:
    """Properties of NaCl and silicon with their standard deviations."""
    return {
        name: [float(value) for value in row[:-1]]
        for name, row in zip(("NaCl", "Si"), predict(shipped, [NACL, SI]).to_numpy(), strict=True)
    }


def formulas(shipped: Checkpoint) -> dict[str, Any]:
    """Properties of compositions with their standard deviations."""
    table = predict_texts(shipped, ["MoS2", "CrI3", "NaCl"])
    return {row[0]: [float(value) for value in row[1:-1]] for row in table.itertuples(index=False)}


def drawn_formulas(shipped: Checkpoint) -> dict[str, Any]:
    """Where SrTiO3 lies, what it comes back as, what is predicted of it, and what is drawn at a formation energy."""
    space = LatentMap(shipped)
    z = space.encode([Composition("SrTiO3")])[0].z
    x = torch.from_numpy(shipped.representation.encode(Composition("SrTiO3"))[None])
    wanted = space.condition_of({"formation_energy_per_atom": -2.0}, 3)
    drawn = space.decode(space.sample(3, 0, condition=wanted))
    return {
        "z": z[:3].tolist(),
        "formula": space.decode(z[None])[0].material.reduced_formula,
        "predicted": shipped.model.predict(x)[0][0].tolist(),
        "drawn": [item.material.formula.replace(" ", "") if item.material else "" for item in drawn],
    }


def written_formulas(shipped: Checkpoint) -> dict[str, Any]:
    """What the first points are, and where the critic sees SrTiO3."""
    x = torch.from_numpy(shipped.representation.encode(Composition("SrTiO3"))[None])
    with torch.inference_mode():
        features = shipped.model.features(x)[0, :4].tolist()
    (written,) = funnel.samples(LatentSpace.of(shipped), funnel.Request(6, 0))
    return {"features": features, "written": list(written.texts())}


def hull_distances(shipped: Checkpoint) -> dict[str, Any]:
    """Formation energy and hull distance of SrTiO3 at an energy, and what it is held against."""
    found = FormationEnergies(shipped).stability(SRTIO3, Energy("7net-0", -8.0), leave_out=["mp-5229"])
    return {
        "formation_energy": found.formation_energy,
        "distance": found.distance,
        "phases": [formula for formula, _ in found.phases],
    }


KINDS = {
    "formation_references": hull_distances,
    "phase_field_norm": phase_fields,
    "point_cloud_gan": asked_crystals,
    "point_cloud_gan_paper": asked_crystals,
    "phase_field_vae": phase_fields,
    "ding": drawn_formulas,
    "icsg3d": crystals,
    "icsg3d_paper": crystals,
    "voxel_vae": crystals,
    "formula_lm": written_formulas,
    "cgcnn": properties,
    "random_forest": formulas,
}


def measured(name: str) -> dict[str, Any]:
    """Figures of a shipped checkpoint."""
    shipped = checkpoint.load(name)
    return KINDS[shipped.model_name](shipped)


@pytest.mark.parametrize("name", checkpoint.names())
def test_numbers_are_those_that_were_shipped(name: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert name in golden, f"{name} has no golden numbers; write them with: python -m tests.test_golden"
    found = measured(name)
    assert set(found) == set(golden[name])
    for key, value in golden[name].items():
        numbers = not isinstance(value, str) and not (isinstance(value, list) and isinstance(value[0], str))
        assert found[key] == (pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE) if numbers else value), key


def test_no_numbers_are_kept_for_what_is_not_shipped() -> None:
    assert set(json.loads(GOLDEN.read_text())) <= set(checkpoint.names())


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: measured(name) for name in checkpoint.names()}, indent=1) + "\n")
