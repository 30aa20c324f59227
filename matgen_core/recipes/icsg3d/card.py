"""The cards of the crystal VAE, written from what a run measured."""

from collections.abc import Mapping
from typing import Any

from matgen_core.networks.models.icsg3d import ICSG3D
from matgen_core.recipes.shared.card import write_card
from matgen_core.recipes.shared.crystal_card import failures_text, figures_text, n_weights


def icsg3d_card(name: str, metrics: Mapping[str, Any], model: ICSG3D, data_text: str) -> str:
    """Write the card of one checkpoint from what stands in its metrics.json."""
    c, run, prior = model.config, metrics["training"], metrics["training_of_prior"]
    return write_card(
        f"{name}: cubic crystals as voxels",
        {
            "What it is": "A variational autoencoder of cubic crystals, drawn as a density with species on a"
            " fractional grid, with a learned prior that draws its latent points"
            f"{' under a formation energy' if c.n_conditions else ''}, after Court et al."
            " (doi:10.1021/acs.jcim.0c00464). Sites are fitted to the decoded density, an element is a code of"
            f" {c.n_codes} numbers, the cell edge is decoded as one number.",
            "Data": data_text,
            "Recipe": f"`matgen train {name} --device cuda`: {run['epoch']} epochs in {run['seconds'] / 60:.1f} minutes"
            f" on a GPU. Grid {c.grid}^3, {c.latent_dim} latent coordinates, KL weight {c.beta:g},"
            f" {n_weights(model):,} weights. Last losses of a crystal: density {run['density']:.2f}, codes"
            f" {run['codes']:.1f} (squared, summed over voxels), species {run['species']:.3f},"
            f" KL {run['kl']:.0f} nats; {run['species_right']:.1%} of the sites had the right element, with half of"
            " the crystals given elements that they do not have in nature. The prior was then taught the latent points"
            f" of the training crystals (without such changes) for {prior['epoch']} epochs; its last loss is"
            f" {prior['loss']:.3f} on them and {prior.get('validation', float('nan')):.3f} on the validation part.",
            "Figures beside the paper's": figures_text(metrics)
            + "\n\nThe figures of the published iCSG3D are those of its peers' comparison. `icsg3d_paper` is the"
            " published design, trained and judged here; its own card has its figures.",
            "What was tried": _tried(),
            "Intended use": "Looking at a latent space of cubic crystals, walking in it, and proposing cubic cells that"
            " are to be relaxed and checked.",
            "Out of scope": "Cells that are not cubic, partly occupied sites, elements outside the training families. A"
            " decoded crystal is a proposal; nothing here says that it is stable.",
            "Known failures": failures_text(metrics),
        },
    )


def _tried() -> str:
    return (
        "The paper labels single voxels with 95 classes by a network of its own, reads the cell off three decoded"
        " channels with angles fixed at 90 degrees, and cuts the density by recursive watershed. Its released code"
        " computes class weights and passes the number of classes in their place, so they never act, and skips"
        " crystals whose watershed fails when it averages. Here class weights act, every failure counts, species"
        " are read at the fitted sites, and half of the training crystals are given other elements. Sizes of"
        " the latent space and schedules of the KL weight were not compared. A decoder that was told the formation"
        " energy, as in the paper, did not obey it (earlier cubic checkpoint: 3 of 30 crystals in the class asked for,"
        " 4 of 30 without asking), so the condition went to the prior. A standard cell that put the least"
        " electronegative of the rarest elements at the origin, whatever the geometry, gave anions two sets of places,"
        " and lines between perovskites failed with too many peaks (87 % of the points decoded, 47 % of 30 lines were"
        " valid throughout); now all have one. Loss terms that ask for sharp peaks halfway between two crystals were"
        " tried on Perov-5 and dropped: they cost half of the epochs, and lines were no better."
    )
