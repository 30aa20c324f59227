"""The smallest settings of every model: no value is neutral, no shape is square."""

from typing import Any

from matgen_core.networks.models import MODELS

# Tiny settings with no neutral value: no 0, no 1, no square shape.
TINY: dict[str, Any] = {
    "cgcnn": MODELS["cgcnn"].Config(
        n_elements=3, properties=("a", "b"), members=2, node_dim=6, edge_dim=5, hidden=7, dropout=0.2
    ),
    "ding": MODELS["ding"].Config(
        n_elements=5,
        max_count=3,
        latent_dim=4,
        n_codes=2,
        hidden=12,
        blocks=2,
        beta=0.3,
        unknown=0.2,
        left_out=0.4,
        prior_hidden=10,
        prior_blocks=2,
        guidance=1.7,
        predictor_width=8,
        judge_width=9,
    ),
    "formation_references": MODELS["formation_references"].Config(
        n_elements=5, potentials=("a", "b"), bond_kinds=("c", "d", "e"), n_phases=7, widest=4
    ),
    "icsg3d": MODELS["icsg3d"].Config(
        grid=8,
        width=0.1,
        latent_dim=6,
        condition_edges=(-1.0, -0.3),
        channels=(8, 16),
        n_narrow=4,
        refiner=(8, 16),
        beta=0.3,
        prior_hidden=12,
        prior_blocks=2,
        guidance=1.7,
    ),
    "icsg3d_paper": MODELS["icsg3d_paper"].Config(
        n_elements=4,
        grid=8,
        latent_dim=6,
        condition_edges=(-1.0, -0.3),
        channels=(5, 7),
        unet_channels=(6, 9),
        beta=0.3,
        perceptual_weight=0.4,
        segmentation_weight=1.3,
    ),
    "formula_lm": MODELS["formula_lm"].Config(
        n_elements=5,
        n_counts=3,
        n_slots=4,
        hidden=12,
        element_temperature=1.3,
        count_temperature=0.7,
        dropout=0.2,
        critic=11,
        critic_depth=2,
        n_features=7,
        penalty=3.0,
    ),
    "phase_field_norm": MODELS["phase_field_norm"].Config(n_slots=3, n_features=5),
    "phase_field_vae": MODELS["phase_field_vae"].Config(
        n_slots=3,
        n_features=5,
        n_elements=11,
        n_members=2,
        embedding=6,
        hidden=(17, 16),
        latent_dim_member=4,
        beta=0.3,
        feature_weight=2.5,
        hide_share=0.4,
    ),
    "random_forest": MODELS["random_forest"].Config(
        n_features=3, n_trees=2, n_nodes=8, depth=2, n_edges=4, properties=("chance",)
    ),
    "voxel_vae": MODELS["voxel_vae"].Config(
        grid=(8, 8, 12),
        width=0.9,
        n_summaries=3,
        per_summary=4,
        tokens=24,
        heads=3,
        encoder_blocks=2,
        decoder_blocks=2,
        painted=5,
        unet=(12, 16),
        lattice_mean=(1.5, 1.6, 1.9, 0.2, 0.1, 0.3),
        lattice_spread=(0.2, 0.3, 0.4, 0.25, 0.35, 0.15),
        beta=0.3,
        code_weight=0.4,
        species_weight=1.7,
        lattice_weight=3.0,
        prior_hidden=10,
        prior_blocks=2,
    ),
}
