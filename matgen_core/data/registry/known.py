"""What is known of each data set: rows, columns with units, source, licence, checksum and defects.

The registry states facts about files; it reads none. Where a data set can be had publicly,
`matgen_core.data.fetching` knows how.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from matgen_core.materials.levels import COMPOSITION, CRYSTAL, PHASE_FIELD
from matgen_core.materials.properties import CUBIC_ANGSTROM_PER_ATOM, EV_PER_ATOM, GPA


@dataclass(frozen=True)
class Source:
    """Where a data set comes from and what its file must hold.

    Attributes:
        name: Key in `DATASETS` and on the command line.
        file: Path below the data folder.
        title: One line for people.
        level: What a row is: the key of a level, or "element".
        rows: Number of rows of the registered file; None where the publisher's answer grows with time.
        columns: Column name to unit or meaning.
        composition_column: The column that fixes a row's chemical system.
        text: Publisher and reference.
        licence: Terms of the data.
        url: DOI or address of the publisher.
        sha256: Checksum of the registered file; None where no file is registered.
        defects: Known faults, one sentence each.
    """

    name: str
    file: str
    title: str
    level: str
    rows: int | None
    columns: Mapping[str, str]
    composition_column: str
    text: str
    licence: str
    url: str
    sha256: str | None
    defects: tuple[str, ...] = ()


_MATERIALS_PROJECT = "Materials Project (Jain et al., APL Mater. 1, 011002, 2013)"
_MATERIALS_PROJECT_URL = "https://doi.org/10.1063/1.4812323"
_PHASE_RANK = "Vasylenko et al., Nat. Commun. 12, 5561 (2021); repository lrcfmd/PhaseFieldRanking"
_PHASE_RANK_URL = "https://doi.org/10.1038/s41467-021-25343-7"

_LATTICE = {"lattice": "Å; the flattened (3, 3) row vectors"}
_CELL = {
    "a": "Å",
    "b": "Å",
    "c": "Å",
    "alpha": "degrees",
    "beta": "degrees",
    "gamma": "degrees",
}
_SITES = {
    "numbers": "atomic numbers, (n_sites,)",
    "frac_coords": "flattened (n_sites, 3) fractional coordinates",
}
_STANDARD = {"material_id": "the publisher's id", "formula": "reduced formula"} | _LATTICE | _SITES
_ENTRY = {
    "material_id": "Materials Project id",
    "formula": "full formula",
    "chemsys": "chemical system",
    "nsites": "number of sites",
    "nelements": "number of elements",
}
_PROPERTIES = {
    "formation_energy_per_atom": EV_PER_ATOM,
    "formation_energy_source": "mp2018, mp2019, mp2024gga or est (hull plus distance)",
    "energy_above_hull": "eV/atom (2024)",
}
_MORE_PROPERTIES = {
    "band_gap": "eV (PBE)",
    "K_VRH_2018": GPA,
    "G_VRH_2018": GPA,
    "K_VRH_2025": GPA,
    "G_VRH_2025": GPA,
    "magnetization_2018": "Bohr magnetons per cell",
    "icsd_flag": "1 experimental, 0 virtual, -1 unknown",
    "bond_dimensionality": "3 bulk, 2 layered",
}
_SPACE_GROUP = {"space_group_number": "1 to 230 (symprec 0.1)"}
_MP_COLUMNS = _ENTRY | _CELL | {"volume": "Å^3 per cell"} | _SPACE_GROUP | _SITES | _PROPERTIES | _MORE_PROPERTIES
_PUBLISHED_SCORE = {
    "phase_field": "element symbols, sorted, joined by hyphens",
    "published_score": "reconstruction error (no unit)",
    "published_norm_score": "(score - min) / (max - min) over this table",
}
_ELASTIC_DEFECT = "K_VRH_2018 and G_VRH_2018 hold some nonsense values (negative moduli)"
_ENERGY_DEFECT = (
    "for strict energies use formation_energy_source in {mp2018, mp2019}: "
    "mp2024gga differs from those by 15 meV/atom (median)"
)

DATASETS: dict[str, Source] = {
    "mp_structures": Source(
        name="mp_structures",
        file="mp_structures.parquet",
        title="Materials Project structures with at most 20 atoms and under 60 Å^3 per atom",
        level=CRYSTAL.key,
        rows=72_544,
        columns=_ENTRY
        | _CELL
        | {"volume": "Å^3 per cell"}
        | _SPACE_GROUP
        | _SITES
        | _PROPERTIES
        | {"energy_above_hull_2018": EV_PER_ATOM}
        | _MORE_PROPERTIES,
        composition_column="formula",
        text=f"{_MATERIALS_PROJECT}; CIFs as collected by F.-X. Coudert",
        licence="CC BY 4.0",
        url=_MATERIALS_PROJECT_URL,
        sha256="95c8a5e2483741a1b976ec6ee459fefddd1c60dc5394b7448457605fc2f43537",
        defects=(_ELASTIC_DEFECT, _ENERGY_DEFECT),
    ),
    "mp_vo": Source(
        name="mp_vo",
        file="mp_vo.parquet",
        title="All V-O entries of the Materials Project, any cell size",
        level=CRYSTAL.key,
        rows=209,
        columns=_MP_COLUMNS,
        composition_column="formula",
        text=f"{_MATERIALS_PROJECT}; CIFs as collected by F.-X. Coudert",
        licence="CC BY 4.0",
        url=_MATERIALS_PROJECT_URL,
        sha256="6c9c4424bb377fef0f66148a20b5701164331d61f73c54d2a896aeff7a1de1f6",
        defects=(_ELASTIC_DEFECT, _ENERGY_DEFECT),
    ),
    "mp_metal_hydrides": Source(
        name="mp_metal_hydrides",
        file="mp_metal_hydrides.parquet",
        title="Materials Project entries of hydrogen with metals only",
        level=CRYSTAL.key,
        rows=701,
        columns=_MP_COLUMNS,
        composition_column="formula",
        text=f"{_MATERIALS_PROJECT}; CIFs as collected by F.-X. Coudert",
        licence="CC BY 4.0",
        url=_MATERIALS_PROJECT_URL,
        sha256="724ce951bde2617ddef48ee685d6123a88406526c343a929aeccd63fbdc319b3",
        defects=(_ELASTIC_DEFECT, _ENERGY_DEFECT, "one dilute supercell, Mg149H"),
    ),
    "mp_hull_2018": Source(
        name="mp_hull_2018",
        file="mp_hull_2018.parquet",
        title="Self-consistent formation energies for convex hulls, Materials Project of October 2018",
        level=COMPOSITION.key,
        rows=69_239,
        columns={
            "material_id": "Materials Project id",
            "formula": "full formula",
            "energy_above_hull": EV_PER_ATOM,
            "formation_energy_per_atom": EV_PER_ATOM,
        },
        composition_column="formula",
        text=_MATERIALS_PROJECT,
        licence="CC BY 4.0",
        url=_MATERIALS_PROJECT_URL,
        sha256="35d711d88363d21f8e2c3748af2a6923a3c27144d9b1b5cbb66b192b26d41b28",
        defects=(
            "rebuilt hull distances agree to 1.1 meV/atom (median); "
            "single worst entries 95 meV/atom (V-O), 123 meV/atom (Fe-O)",
        ),
    ),
    "mp_binary_elasticity": Source(
        name="mp_binary_elasticity",
        file="mp_binary_elasticity.parquet",
        title="Binaries with bulk modulus, shear modulus and Poisson ratio",
        level=CRYSTAL.key,
        rows=3_953,
        columns={"material_id": "Materials Project id", "formula": "reduced formula"}
        | _LATTICE
        | _SITES
        | {"bulk_modulus": GPA, "shear_modulus": GPA, "poisson_ratio": "no unit"},
        composition_column="formula",
        text=f"{_MATERIALS_PROJECT}, as packed by matcalc (BSD-3)",
        licence="CC BY 4.0",
        url="https://github.com/materialsvirtuallab/matcalc",
        sha256="efdef56fc7da37b7cb7e1883615dfda5e68e96160b3d0d028da9a1709cd2e5ce",
    ),
    "mp_dielectric": Source(
        name="mp_dielectric",
        file="mp_dielectric.parquet",
        title="Structures with dielectric constants and refractive index",
        level=CRYSTAL.key,
        rows=1_508,
        columns={"material_id": "Materials Project id", "formula": "reduced formula"}
        | _LATTICE
        | _SITES
        | {
            "eps_electronic": "relative permittivity, electronic part",
            "eps_total": "relative permittivity, total",
            "refractive_index": "square root of eps_electronic",
        },
        composition_column="formula",
        text="Petretto et al., Sci. Data 5, 180065 (2018), from the Materials Project",
        licence="CC BY 4.0",
        url="https://doi.org/10.1038/sdata.2018.65",
        sha256="aaa54b077a38c3a3ffe46f3cbdafcb6aff9a9eee9b75dc5440dc6268b92bb074",
        defects=("eps_total is missing for 136 rows",),
    ),
    "oqmd_compositions": Source(
        name="oqmd_compositions",
        file="oqmd_compositions.parquet",
        title="OQMD formulas with formation energy, energy, volume and band gap",
        level=COMPOSITION.key,
        rows=324_598,
        columns={
            "formula": 'with every count written, as "Ac1Ag1Al2"',
            "formation_energy_per_atom": EV_PER_ATOM,
            "energy_per_atom": EV_PER_ATOM,
            "volume_per_atom": CUBIC_ANGSTROM_PER_ATOM,
            "band_gap": "eV",
        },
        composition_column="formula",
        text="OQMD (Kirklin et al., npj Comput. Mater. 1, 15010, 2015), as split by CrabNet (MIT)",
        licence="CC BY 4.0",
        url="https://doi.org/10.1038/npjcompumats.2015.10",
        sha256="2a42c8b051ba06fb007ad24a9e664f4dfaf6ec7547228a173241f2c6fcf8f8e5",
        defects=("about 97,000 rows have energies and volumes; nearly all have a band gap",),
    ),
    "matbench_mp_e_form": Source(
        name="matbench_mp_e_form",
        file="matbench_mp_e_form.parquet",
        title="Formulas with formation energy, the matbench set",
        level=COMPOSITION.key,
        rows=132_752,
        columns={"formula": "full formula", "formation_energy_per_atom": EV_PER_ATOM},
        composition_column="formula",
        text="Materials Project of April 2019 through matbench (MIT; Dunn et al. 2020)",
        licence="CC BY 4.0",
        url="https://doi.org/10.1038/s41524-020-00406-3",
        sha256="928eb18181954546cdc01f43c6e66babd4bbe60805e3c153827b2565de639452",
        defects=("many polymorphs per formula",),
    ),
    "perov5": Source(
        name="perov5",
        file="perov5.parquet",
        title="Perov-5: ABX3 perovskite cells with the train, val and test split of CDVAE",
        level=CRYSTAL.key,
        rows=18_928,
        columns={"material_id": "row number of the publisher", "split": "train, val or test"}
        | _LATTICE
        | _SITES
        | {
            "heat_of_formation_per_atom": EV_PER_ATOM,
            "indirect_gap": "eV",
            "direct_gap": "eV",
        },
        composition_column="numbers",
        text="Castelli et al., Energy Environ. Sci. 5, 9034 (2012), CMR; split from CDVAE (MIT)",
        licence="CMR terms for the structures; MIT for the split",
        url="https://doi.org/10.1039/C2EE22341D",
        sha256="75b9ce8bb791af427196838aeeaefa91a8e49795d67a3d462f8692b56f7a56bc",
        defects=("energies and gaps for val and test only",),
    ),
    "mgmno": Source(
        name="mgmno",
        file="mgmno.parquet",
        title="Mg-Mn-O structures with at most 24 atoms, unique ones and supercells",
        level=CRYSTAL.key,
        rows=2_627,
        columns={"template": "Materials Project id of the template"} | _CELL | _SITES | {"nsites": "number of sites"},
        composition_column="numbers",
        text="Kim et al., ACS Cent. Sci. 6, 1412 (2020), from the Materials Project by substitution",
        licence="CC BY 4.0 (Materials Project)",
        url="https://doi.org/10.1021/acscentsci.0c00426",
        sha256="98f61a109f6519374aa8e169651b9e6e3dac16323e57c0c25c90ff4e3d23fd20",
        defects=(
            "template ids repeat",
            "one chemical system, so it cannot be split by it",
        ),
    ),
    "mc2d_exfoliable": Source(
        name="mc2d_exfoliable",
        file="mc2d_exfoliable.parquet",
        title="Exfoliable two-dimensional materials: formula, prototype, gap, binding energy",
        level=COMPOSITION.key,
        rows=2_707,
        columns={
            "formula": "full formula",
            "prototype": "formula of the prototype",
            "space_group_number": "1 to 230",
            "band_gap": "eV",
            "binding_energy_df2": "eV/Å^2 (DF2-C09)",
            "parent_db": "data base of the bulk parent",
        },
        composition_column="formula",
        text="Materials Cloud MC2D (Mounet et al. 2018; Campi et al. 2023)",
        licence="CC BY 4.0",
        url="https://doi.org/10.1038/s41565-017-0035-5",
        sha256="6779e5fb4aa8f1f3fa96d9373b7c1d1f68d8c2b84fe20986c6383af1e171b067",
        defects=("no coordinates",),
    ),
    "mc2d_monolayers": Source(
        name="mc2d_monolayers",
        file="mc2d_monolayers.parquet",
        title="Monolayers with coordinates",
        level=CRYSTAL.key,
        rows=258,
        columns={"formula": "full formula", "prototype": "formula of the prototype"}
        | _LATTICE
        | _SITES
        | {
            "band_gap": "eV",
            "magnetic_state": "NM, FM or AFM",
            "binding_energy_df2": "meV/Å^2 (DF2-C09)",
            "binding_energy_rvv10": "meV/Å^2 (rVV10)",
        },
        composition_column="formula",
        text="Materials Cloud MC2D (Mounet et al. 2018; Campi et al. 2023)",
        licence="CC BY 4.0",
        url="https://doi.org/10.1038/s41565-017-0035-5",
        sha256="1011a593fd8285cc5a4ad718d0472bdcb83a665c52a7b2b2115dad6329418fd4",
    ),
    "matbench_jdft2d": Source(
        name="matbench_jdft2d",
        file="matbench_jdft2d.parquet",
        title="Two-dimensional formulas with exfoliation energy, the matbench set",
        level=COMPOSITION.key,
        rows=636,
        columns={"formula": "full formula", "exfoliation_energy_mev_per_atom": "meV/atom"},
        composition_column="formula",
        text="JARVIS-DFT (NIST; Choudhary et al., Sci. Rep. 7, 5179, 2017) through matbench (MIT)",
        licence="JARVIS-DFT terms (NIST); MIT for the packing",
        url="https://doi.org/10.1038/s41598-017-05402-0",
        sha256="6ed86b07bbdc5156c7f8c4e1d6325edf63781a47301aa74025a0b186383e7620",
    ),
    "obelix_li_conductors": Source(
        name="obelix_li_conductors",
        file="obelix_li_conductors.csv",
        title="Lithium solid electrolytes with measured conductivity",
        level=COMPOSITION.key,
        rows=599,
        columns={
            "ID": "id",
            "Reduced Composition": "formula",
            "Z": "formula units per cell",
            "True Composition": "formula with every amount written",
            "Ionic conductivity (S cm-1)": 'S/cm at room temperature, some as "<1E-10"',
            "IC (Total)": "S/cm",
            "IC (Bulk)": "S/cm",
            "Space group": "symbol",
            "Space group #": "1 to 230",
            **_CELL,
            "Family": "structure family",
            "DOI": "of the measurement",
            "Checked": "1 if checked by the authors",
            "Ref": "reference key",
            "Cif ID": "state of the CIF",
            "Cif ref_1": "where the CIF is from",
            "Cif ref_2": "where the CIF is from",
            "note": "free text",
            "close match": "id of a close match",
            "close match DOI": "DOI of a close match",
            "ICSD ID": "collection code",
            "Laskowski ID": "id in Laskowski 2023",
            "Liion ID": "id in the LiIon set",
        },
        composition_column="True Composition",
        text="OBELiX (Therrien et al. 2025)",
        licence="CC BY 4.0",
        url="https://github.com/NRC-Mila/OBELiX",
        sha256="54f6265ef84d16a919d08c6815f14b0fd7465fa00090bee2511c16c042e57f3c",
        defects=('some conductivities are bounds, "<1E-10"',),
    ),
    "castelli_perovskites": Source(
        name="castelli_perovskites",
        file="castelli_perovskites.parquet",
        title="The ABX3 perovskites behind Perov-5, all with their energies and gaps",
        level=CRYSTAL.key,
        rows=18_928,
        columns=_STANDARD
        | {
            "formation_energy": "eV; oxygen is referred to water vapor",
            "band_gap": "eV (GLLB-SC)",
            "gap_is_direct": "true or false",
            "magnetization": "Bohr magnetons",
        },
        composition_column="formula",
        text="Castelli et al., Energy Environ. Sci. 5, 9034 (2012), CMR, as packed by matminer",
        licence="CMR terms",
        url="https://doi.org/10.1039/C2EE22341D",
        sha256=None,
    ),
    "jarvis_2d": Source(
        name="jarvis_2d",
        file="jarvis_2d.parquet",
        title="JARVIS-DFT two-dimensional materials with coordinates and exfoliation energy",
        level=CRYSTAL.key,
        rows=636,
        columns=_STANDARD
        | {
            "exfoliation_energy_mev_per_atom": "meV/atom",
            "formation_energy_per_atom": EV_PER_ATOM,
            "band_gap": "eV (OptB88vdW)",
            "band_gap_tbmbj": "eV (TBmBJ)",
        },
        composition_column="formula",
        text="JARVIS-DFT (NIST; Choudhary et al., Sci. Rep. 7, 5179, 2017), as packed by matminer",
        licence="JARVIS-DFT terms (NIST)",
        url="https://doi.org/10.1038/s41598-017-05402-0",
        sha256=None,
    ),
    "aflow_binaries": Source(
        name="aflow_binaries",
        file="aflow_binaries.parquet",
        title="AFLOW binaries with at most 20 atoms",
        level=CRYSTAL.key,
        rows=None,
        columns=_STANDARD,
        composition_column="formula",
        text="AFLOW (Curtarolo et al., Comput. Mater. Sci. 58, 227, 2012) through OPTIMADE",
        licence="AFLOW terms",
        url="https://doi.org/10.1016/j.commatsci.2012.02.002",
        sha256=None,
        defects=("grows with time: note the checksum of your copy",),
    ),
    "icsd2017_quaternary_two_anion": Source(
        name="icsd2017_quaternary_two_anion",
        file="phase_fields/icsd2017_quaternary_two_anion.csv",
        title="Quaternary two-anion phase fields of ICSD 2017",
        level=PHASE_FIELD.key,
        rows=2_021,
        columns={"phase_field": "element symbols, sorted, joined by hyphens"},
        composition_column="phase_field",
        text=_PHASE_RANK,
        licence="MIT",
        url=_PHASE_RANK_URL,
        sha256="d69ab631188007d8b8e2ada734716f0fa5568817484168f6418448d1d9366b39",
        defects=("element sets only; 94 fields repeat an element (mixed valence)",),
    ),
    "magpie_37": Source(
        name="magpie_37",
        file="phase_fields/element_features_magpie_37.csv",
        title="The 37 Magpie element properties of the published phase-field ranking",
        level="element",
        rows=92,
        columns={"element": "symbol"}
        | dict.fromkeys(
            (
                "Pettifor Number AtomicVolume AtomicWeight BCCbandgap BCCefflatcnt BCCenergydiff "
                "BCCenergy_pa BCCfermi BCCmagmom BCCvolume_padiff BCCvolume_pa Column CovalentRadius "
                "Electronegativity FirstIonizationEnergy GSbandgap GSefflatcnt GSenergy_pa GSestBCClatcnt "
                "GSestFCClatcnt GSmagmom GSvolume_pa ICSDVolume MendeleevNumber NdUnfilled NdValence "
                "NfUnfilled NfValence NpUnfilled NpValence NsUnfilled NsValence NUnfilled NValance "
                "Polarizability Row"
            ).split(),
            "as in Magpie",
        ),
        composition_column="element",
        text=f"Magpie (Ward et al., npj Comput. Mater. 2, 16028, 2016), as in {_PHASE_RANK}",
        licence="MIT",
        url="https://doi.org/10.1038/npjcompumats.2016.28",
        sha256="4237bd94cbef3c00b65a143a624f6570fad10a4a1d537e89160e5685396bf16f",
        defects=("BCCbandgap is constant over the training fields",),
    ),
    "published_scores_training": Source(
        name="published_scores_training",
        file="phase_fields/published_scores_training.csv",
        title="Published scores of the 2,021 training fields",
        level=PHASE_FIELD.key,
        rows=2_021,
        columns=_PUBLISHED_SCORE,
        composition_column="phase_field",
        text=_PHASE_RANK,
        licence="MIT",
        url=_PHASE_RANK_URL,
        sha256="5936313004d3662f083760bf60b3c2b912635dc2548e48be712db33da35291de",
        defects=("three decimals",),
    ),
    "published_scores_candidates_303": Source(
        name="published_scores_candidates_303",
        file="phase_fields/published_scores_candidates_303.csv",
        title="Published scores of the 303 lithium candidates",
        level=PHASE_FIELD.key,
        rows=303,
        columns=_PUBLISHED_SCORE,
        composition_column="phase_field",
        text=_PHASE_RANK,
        licence="MIT",
        url=_PHASE_RANK_URL,
        sha256="519bb5d0a547db12f96a7110d6eab9b116eeb49459441b08135417a65003c96b",
        defects=("three decimals",),
    ),
}
