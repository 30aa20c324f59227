"""Where the public originals are, and how each becomes the table that the registry describes.

A checksum stands here where it is known: those of figshare and matbench are the ones that matminer 0.10.1
publishes, those of the phase fields were computed from the published text at the commit named. Where none
is known the number of rows is checked, or for a paged interface, that every announced record came.
"""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame
from pymatgen.core import Composition, Element, Structure

from matgen_core.data.registry import DATASETS
from matgen_core.data.rows import structure_row
from matgen_core.data.structure_files import structures_from_cif
from matgen_core.materials.systems import symbols_of

HOSTS: dict[str, str] = {
    "figshare": "https://ndownloader.figshare.com",
    "matbench": "https://ml.materialsproject.org",
    "github": "https://raw.githubusercontent.com",
    "materials_project": "https://api.materialsproject.org",
    "oqmd": "https://oqmd.org/optimade",
    "aflow": "https://aflow.org/API/optimade",
}


@dataclass(frozen=True)
class Download:
    """Files to download whole.

    Attributes:
        host: Key in `HOSTS`.
        files: Path below the host, and the file's sha256 where it is known.
        convert: From the downloaded files, in order, to the registered columns.
        rows: Rows of the converted public original. It may exceed the registered file's.
    """

    host: str
    files: tuple[tuple[str, str | None], ...]
    convert: Callable[[Sequence[Path]], DataFrame]
    rows: int


@dataclass(frozen=True)
class Query:
    """Records to read page by page.

    Attributes:
        host: Key in `HOSTS`; "materials_project" speaks its own dialect, all others OPTIMADE.
        endpoint: Path below the host.
        parameters: Sent with every page.
        convert: From all records to the registered columns.
    """

    host: str
    endpoint: str
    parameters: Mapping[str, str]
    convert: Callable[[Iterable[Mapping[str, Any]]], DataFrame]


# --- matminer and matbench: a table as JSON --------------------------------------------------------------


def _json_table(path: Path) -> DataFrame:
    """Read the split-oriented JSON; structures stay dictionaries: no class named there is imported."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        stored = json.load(file)
    return DataFrame(stored["data"], columns=stored["columns"])


def _full_formula(structure: Mapping[str, Any]) -> str:
    """Formula of a cell with every count, elements in alphabetical order: "C1Pt1"."""
    counts: dict[str, float] = {}
    for site in structure["sites"]:
        for species in site["species"]:
            counts[species["element"]] = counts.get(species["element"], 0) + species["occu"]
    return Composition(counts).alphabetical_formula.replace(" ", "")


def _matbench(target: str, name: str) -> Callable[[Sequence[Path]], DataFrame]:
    def convert(paths: Sequence[Path]) -> DataFrame:
        table = _json_table(paths[0])
        return DataFrame({"formula": table["structure"].map(_full_formula), name: table[target].astype(float)})

    return convert


def _structures(table: DataFrame, ids: Iterable[Any], extra: Mapping[str, str]) -> DataFrame:
    """Standard structure columns from a column of structure dictionaries, and renamed other columns."""
    rows = [
        structure_row(str(material_id), Structure.from_dict(stored))
        for material_id, stored in zip(ids, table["structure"], strict=True)
    ]
    kept = table[list(extra)].rename(columns=dict(extra)).reset_index(drop=True)
    return pd.concat([DataFrame(rows), kept], axis=1)


def _mp_hull_2018(paths: Sequence[Path]) -> DataFrame:
    names = {
        "mpid": "material_id",
        "formula": "formula",
        "e_hull": "energy_above_hull",
        "e_form": "formation_energy_per_atom",
    }
    return _json_table(paths[0])[list(names)].rename(columns=names)


def _mp_dielectric(paths: Sequence[Path]) -> DataFrame:
    table = _json_table(paths[0])
    names = {"eps_electronic": "eps_electronic", "eps_total": "eps_total"}
    converted = _structures(table, table["mpid"], names)
    return converted.assign(refractive_index=np.sqrt(converted["eps_electronic"].astype(float)))


def _castelli(paths: Sequence[Path]) -> DataFrame:
    table = _json_table(paths[0])
    names = {
        "e_form": "formation_energy",
        "gap gllbsc": "band_gap",
        "gap is direct": "gap_is_direct",
        "mu_b": "magnetization",
    }
    return _structures(table, (f"castelli-{row}" for row in range(len(table))), names)


def _jarvis_2d(paths: Sequence[Path]) -> DataFrame:
    table = _json_table(paths[0])
    names = {
        "exfoliation_en": "exfoliation_energy_mev_per_atom",
        "e_form": "formation_energy_per_atom",
        "gap opt": "band_gap",
        "gap tbmbj": "band_gap_tbmbj",
    }
    return _structures(table, table["jid"], names)


# --- CDVAE: three CSV files with a CIF per row -----------------------------------------------------------


def _perov5(paths: Sequence[Path]) -> DataFrame:
    rows = []
    for split, path in zip(("train", "val", "test"), paths, strict=True):
        for record in pd.read_csv(path, keep_default_na=False).to_dict("records"):
            [crystal] = structures_from_cif(record["cif"])
            cell = structure_row("", crystal)
            rows.append(
                {
                    "material_id": int(record["material_id"]),
                    "split": split,
                    "lattice": cell["lattice"],
                    "numbers": cell["numbers"],
                    "frac_coords": cell["frac_coords"],
                    "heat_of_formation_per_atom": float(record["heat_all"]),
                    "indirect_gap": float(record["ind_gap"]),
                    "direct_gap": float(record["dir_gap"]),
                }
            )
    return DataFrame(rows)


# --- The phase fields ------------------------------------------------------------------------------------


def _fields(paths: Sequence[Path]) -> DataFrame:
    lines = paths[0].read_text(encoding="utf-8").split("\n")
    return DataFrame({"phase_field": ["-".join(line.split()) for line in lines if line.strip()]})


def _scores(paths: Sequence[Path]) -> DataFrame:
    rows = [line.split(",") for line in paths[0].read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
    return DataFrame(
        {
            "phase_field": ["-".join(row[0].split()) for row in rows],
            "published_score": [float(row[1]) for row in rows],
            "published_norm_score": [float(row[2]) for row in rows],
        }
    )


def _magpie(paths: Sequence[Path]) -> DataFrame:
    # As text: the published digits stay as they are written.
    table = pd.read_csv(paths[0], keep_default_na=False, dtype=str)
    return table.rename(columns={"Elements": "element"})


# --- The Materials Project interface ---------------------------------------------------------------------

_SUMMARY_FIELDS = (
    "material_id,formula_pretty,chemsys,nsites,nelements,structure,volume,symmetry,formation_energy_per_atom,"
    "energy_above_hull,band_gap,bulk_modulus,shear_modulus,theoretical,homogeneous_poisson"
)


def _hill(moduli: Mapping[str, float] | None) -> float:
    value = (moduli or {}).get("vrh")
    return float("nan") if value is None else float(value)


def _float(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _summary(name: str) -> Callable[[Iterable[Mapping[str, Any]]], DataFrame]:
    """Convert summary records to the columns of a registered Materials Project set.

    The interface has neither the 2018 values nor the bond dimensionality; those are missing.
    """

    def convert(records: Iterable[Mapping[str, Any]]) -> DataFrame:
        rows = []
        for record in records:
            crystal = Structure.from_dict(record["structure"])
            cell = structure_row(record["material_id"], crystal)
            a, b, c, alpha, beta, gamma = crystal.lattice.parameters
            theoretical = record.get("theoretical")
            known = {
                "material_id": record["material_id"],
                "formula": record["formula_pretty"],
                "chemsys": record["chemsys"],
                "nsites": len(crystal),
                "nelements": record["nelements"],
                "a": a,
                "b": b,
                "c": c,
                "alpha": alpha,
                "beta": beta,
                "gamma": gamma,
                "volume": crystal.volume,
                "space_group_number": record["symmetry"]["number"],
                "numbers": cell["numbers"],
                "frac_coords": cell["frac_coords"],
                "formation_energy_per_atom": _float(record.get("formation_energy_per_atom")),
                "formation_energy_source": "mp_interface",
                "energy_above_hull": _float(record.get("energy_above_hull")),
                "band_gap": _float(record.get("band_gap")),
                "K_VRH_2025": _hill(record.get("bulk_modulus")),
                "G_VRH_2025": _hill(record.get("shear_modulus")),
                "icsd_flag": -1 if theoretical is None else int(not theoretical),
            }
            rows.append({column: known.get(column, float("nan")) for column in DATASETS[name].columns})
        return DataFrame(rows, columns=list(DATASETS[name].columns))

    return convert


def _compact(table: DataFrame) -> DataFrame:
    return table[table["volume"] / table["nsites"] < 60].reset_index(drop=True)


def _mp_structures(records: Iterable[Mapping[str, Any]]) -> DataFrame:
    return _compact(_summary("mp_structures")(records))


def _mp_metal_hydrides(records: Iterable[Mapping[str, Any]]) -> DataFrame:
    def metals_only(record: Mapping[str, Any]) -> bool:
        others = [symbol for symbol in symbols_of(record["chemsys"]) if symbol != "H"]
        return bool(others) and all(Element(symbol).is_metal for symbol in others)

    return _summary("mp_metal_hydrides")(record for record in records if metals_only(record))


def _mp_binary_elasticity(records: Iterable[Mapping[str, Any]]) -> DataFrame:
    rows = []
    for record in records:
        bulk, shear = _hill(record.get("bulk_modulus")), _hill(record.get("shear_modulus"))
        # The same cut as the registered file; a missing modulus fails it.
        if 0 < bulk <= 500 and 0 < shear <= 500:
            rows.append(
                structure_row(record["material_id"], Structure.from_dict(record["structure"]))
                | {
                    "bulk_modulus": bulk,
                    "shear_modulus": shear,
                    "poisson_ratio": _float(record.get("homogeneous_poisson")),
                }
            )
    return DataFrame(rows, columns=list(DATASETS["mp_binary_elasticity"].columns))


# --- OPTIMADE --------------------------------------------------------------------------------------------


def _optimade_row(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Standard columns of one record, or None where it is no ordered crystal of known elements."""
    facts = record["attributes"]
    symbols = facts.get("species_at_sites")
    vectors, positions = facts.get("lattice_vectors"), facts.get("cartesian_site_positions")
    if not symbols or not vectors or not positions or not all(map(Element.is_valid_symbol, symbols)):
        return None
    try:
        crystal = Structure(np.asarray(vectors, float), symbols, positions, coords_are_cartesian=True)
    except ValueError:  # a flat cell, or coordinates that do not fit the sites
        return None
    return structure_row(str(record["id"]), crystal) | {"volume_per_atom": crystal.volume / len(crystal)}


def _aflow(records: Iterable[Mapping[str, Any]]) -> DataFrame:
    rows = [row for row in map(_optimade_row, records) if row is not None]
    return DataFrame(rows, columns=list(DATASETS["aflow_binaries"].columns))


def _oqmd_rows(records: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for record in records:
        row = _optimade_row(record)
        if row is not None:
            composition = Composition(row["formula"])
            yield {
                "formula": composition.alphabetical_formula.replace(" ", ""),
                "formation_energy_per_atom": _float(record["attributes"].get("_oqmd_delta_e")),
                # The interface has no total energy.
                "energy_per_atom": float("nan"),
                "volume_per_atom": row["volume_per_atom"],
                "band_gap": _float(record["attributes"].get("_oqmd_band_gap")),
            }


def _oqmd(records: Iterable[Mapping[str, Any]]) -> DataFrame:
    """One row per formula: its entry of lowest formation energy."""
    table = DataFrame(_oqmd_rows(records), columns=list(DATASETS["oqmd_compositions"].columns))
    best = table.sort_values("formation_energy_per_atom", kind="stable").drop_duplicates("formula")
    return best.sort_values("formula").reset_index(drop=True)


_PHASE_FIELDS = "lrcfmd/PhaseFieldRanking"
_NONMETALS = "B,C,N,O,F,Si,P,S,Cl,Ge,As,Se,Br,Sb,Te,I,He,Ne,Ar,Kr,Xe,Rn,At"
_SITES = "species_at_sites,lattice_vectors,cartesian_site_positions"

PUBLISHERS: dict[str, Download | Query] = {
    "mp_structures": Query(
        "materials_project",
        "/materials/summary/",
        {"nsites_max": "20", "deprecated": "false", "_fields": _SUMMARY_FIELDS},
        _mp_structures,
    ),
    "mp_vo": Query(
        "materials_project",
        "/materials/summary/",
        {"chemsys": "O-V", "deprecated": "false", "_fields": _SUMMARY_FIELDS},
        _summary("mp_vo"),
    ),
    "mp_metal_hydrides": Query(
        "materials_project",
        "/materials/summary/",
        {
            "elements": "H",
            "exclude_elements": _NONMETALS,
            "deprecated": "false",
            "_fields": _SUMMARY_FIELDS,
        },
        _mp_metal_hydrides,
    ),
    "mp_binary_elasticity": Query(
        "materials_project",
        "/materials/summary/",
        {
            "nelements_min": "2",
            "nelements_max": "2",
            "has_props": "elasticity",
            "deprecated": "false",
            "_fields": _SUMMARY_FIELDS,
        },
        _mp_binary_elasticity,
    ),
    "mp_hull_2018": Download(
        "figshare",
        (("/files/13309253", "48481abc390e0772defbbfa68d7db3b9bdef2519d407b82a581f2298f7df080f"),),
        _mp_hull_2018,
        rows=83_989,
    ),
    "mp_dielectric": Download(
        "figshare",
        (("/files/13297571", "53044ba423c06b5c08e8d3991c6c2140a2391160f90af03377d4e1734ce475f9"),),
        _mp_dielectric,
        rows=1_296,
    ),
    "oqmd_compositions": Query(
        "oqmd",
        "/v1/structures",
        {"response_fields": f"{_SITES},_oqmd_delta_e,_oqmd_band_gap"},
        _oqmd,
    ),
    "matbench_mp_e_form": Download(
        "matbench",
        (
            (
                "/projects/matbench_mp_e_form.json.gz",
                "dedcb1d4ba2e3e50dbdd45ba5bc647a00e9c2bcf8f8bf556dc8e92caa39eb21f",
            ),
        ),
        _matbench("e_form", "formation_energy_per_atom"),
        rows=132_752,
    ),
    "perov5": Download(
        "github",
        tuple((f"/txie-93/cdvae/main/data/perov_5/{part}.csv", None) for part in ("train", "val", "test")),
        _perov5,
        rows=18_928,
    ),
    "matbench_jdft2d": Download(
        "matbench",
        (
            (
                "/projects/matbench_jdft2d.json.gz",
                "26057dc4524e193e32abffb296ce819b58b6e11d1278cae329a2f97817a4eddf",
            ),
        ),
        _matbench("exfoliation_en", "exfoliation_energy_mev_per_atom"),
        rows=636,
    ),
    "castelli_perovskites": Download(
        "figshare",
        (("/files/13284197", "fc8b44d7213515f9bc2ef3a5a5d3e4b946b321c1311f14c8be31f857b61b10d7"),),
        _castelli,
        rows=18_928,
    ),
    "jarvis_2d": Download(
        "figshare",
        (("/files/13376504", "6994355a15ae960e3e204a1208db68eb490b5be363b15b97b36d2e0cd09b6d99"),),
        _jarvis_2d,
        rows=636,
    ),
    "aflow_binaries": Query(
        "aflow",
        "/v1/structures",
        {"filter": "nelements=2 AND nsites<=20", "response_fields": _SITES},
        _aflow,
    ),
    "icsd2017_quaternary_two_anion": Download(
        "github",
        (
            (
                f"/{_PHASE_FIELDS}/3d13954d2713e8eb00471f925676ca4f980df246/quaternary_training_set.dat",
                "222d444e448f6a1f46cc0b5eda152134837645928266fe36cf74d542ef135c00",
            ),
        ),
        _fields,
        rows=2_021,
    ),
    "magpie_37": Download(
        "github",
        (
            (
                f"/{_PHASE_FIELDS}/2fdf6b22b7d050af1c321ce7374bd13e1c14ca57"
                "/ranking_phase_fields/elemental_features/magpie_37.csv",
                "14f88b38f04c0fc2ebdbc2e95dd517391336279e192945a1723aeb3e22409983",
            ),
        ),
        _magpie,
        rows=92,
    ),
    "published_scores_training": Download(
        "github",
        (
            (
                f"/{_PHASE_FIELDS}/0e41e0b79fe8abb5f4434cbf1cf73a109482ff4d"
                "/build/lib/ranking_phase_fields/test_results/quaternary_VAE_training_scores.csv",
                "500856badc4dac166957703413b6f2c2e7046174b14d55f14d4235057e25b443",
            ),
        ),
        _scores,
        rows=2_021,
    ),
    "published_scores_candidates_303": Download(
        "github",
        (
            (
                f"/{_PHASE_FIELDS}/3d13954d2713e8eb00471f925676ca4f980df246"
                "/ranking_phase_fields/test_results/quaternary_VAE_test_scores.csv",
                "f208ac09dc3f9c0d6a9bd2d9497f831ba629b4d53c5a830f565ff5ad43e0f850",
            ),
        ),
        _scores,
        rows=303,
    ),
}
