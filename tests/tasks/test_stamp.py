"""What made a file, in every export."""

import hashlib
import io
import json

import pandas as pd

from matgen_core import checkpoint
from matgen_core.jobs.csv_cells import csv_text, restored
from matgen_core.tasks.stamp import COLUMN, stamp, stamped


def test_a_file_says_what_made_it() -> None:
    made_by = stamp("icsg3d", search="has:Li", ranges="", own_map=None)
    config = checkpoint.documents("icsg3d")[0]
    assert made_by["checkpoint"] == "icsg3d"
    assert (
        made_by["weights_sha256"]
        == hashlib.sha256((checkpoint.root() / "icsg3d" / "weights.safetensors").read_bytes()).hexdigest()
    )
    assert (made_by["commit"], made_by["seed"]) == (config["commit"], config["seed"])
    assert made_by["search"] == "has:Li"
    assert "ranges" not in made_by
    table = pd.DataFrame({"formula": ["NaCl", "=cmd"]})
    read = restored(pd.read_csv(io.StringIO(csv_text(stamped(table, made_by)))))
    assert list(read.columns) == ["formula", COLUMN]
    assert [json.loads(each) for each in read[COLUMN]] == [made_by] * 2
    assert list(table.columns) == ["formula"]
