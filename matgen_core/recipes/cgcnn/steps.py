"""The recipes of the property networks step by step, for a GPU on a machine without pymatgen.

`python -m matgen_core.recipes.cgcnn.steps pack GRAPHS` here, then there
`python -m matgen_core.networks.learning.cgcnn GRAPHS FOLDER TASK...`, and
`python -m matgen_core.recipes.cgcnn.steps finish GRAPHS FOLDER` here again.
"""

import argparse
import sys
from pathlib import Path

from matgen_core import checkpoint as checkpoints
from matgen_core.networks.arrays import graphs as packed_graphs
from matgen_core.networks.learning.cgcnn import TASKS, load_weights
from matgen_core.recipes.cgcnn.recipe import CGCNNRecipe, judge, pack

_COMPARISONS = {"random_split": "energy_random_split", "paper_design": "energy_paper_design"}


def finish(graphs_path: Path, weights: Path) -> None:
    """Judge every ensemble in a folder and write the checkpoints; comparisons go into that of the energies."""
    graphs = packed_graphs.load(graphs_path)
    found = {name: weights / f"{name}.safetensors" for name in TASKS if (weights / f"{name}.safetensors").is_file()}
    comparisons = {
        title: judge(load_weights(found[name])[0], graphs, TASKS[name].split)
        for title, name in _COMPARISONS.items()
        if name in found
    }
    for name in (name for name in found if name not in _COMPARISONS.values()):
        extra = comparisons if name == "cgcnn_energy" else {}
        model, run = load_weights(found[name])
        made = CGCNNRecipe(name).finish(model, graphs, run, extra)
        checkpoints.save(made, checkpoints.root() / name)
        sys.stderr.write(f"wrote {checkpoints.root() / name}\n")


def main() -> None:
    """Pack graphs, or finish checkpoints from weights that were fitted elsewhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("pack", help="build the graphs").add_argument("graphs", type=Path, help="file to write")
    last = steps.add_parser("finish", help="make checkpoints")
    last.add_argument("graphs", type=Path, help="packed graphs")
    last.add_argument("weights", type=Path, help="folder of the weights")
    options = parser.parse_args()
    if options.step == "pack":
        pack(options.graphs)
    else:
        finish(options.graphs, options.weights)


if __name__ == "__main__":
    main()
