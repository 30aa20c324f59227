"""Small sound inputs of each kind, and the words that they are made of."""

CIFS = (
    """data_NaCl
_chemical_formula_sum 'Na1 Cl1'
_cell_length_a 5.64(2)
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_cell_formula_units_Z 4
_symmetry_space_group_name_H-M 'F m -3 m'
_symmetry_Int_Tables_number 225
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na+ 0 0 0 1
Cl1 Cl- 0.5 0.5 0.5 1.0
""",
    """#\\#CIF_2.0
data_one
_cell.length_a 4.0
_cell.length_b 4.1
_cell.length_c 6.2
_cell.angle_alpha 90
_cell.angle_beta 101.5
_cell.angle_gamma 90
_publ_section_title
;
Two sites, half of each
data_of nothing
;
loop_
_space_group_symop.operation_xyz
'x, y, z'
'-x, y+1/2, -z'
loop_
_atom_site.label
_atom_site.fract_x
_atom_site.fract_y
_atom_site.fract_z
_atom_site.occupancy
La1 0.25 0.1 0.3 0.667
Sr1 0.25 0.1 0.3 0.333
O1 0.6 0.7 .8 1
data_two
_cell_length_a 3
_cell_length_b 3
_cell_length_c 3
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Po1 0 0 0
""",
    """data_quartz
_cell_length_a 4.91
_cell_length_b 4.91
_cell_length_c 5.4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_space_group_IT_number 154
loop_
_atom_site_label
_atom_site_symmetry_multiplicity
_atom_site_Wyckoff_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_attached_hydrogens
Si1 3 a 0.47 0 0.6667 0
O1 6 c 0.41 0.27 0.78 1
D1 6 c 0.3 0.1 ? 0
""",
)
MCIFS = (
    """data_MnO
_cell_length_a 4.44
_cell_length_b 4.44
_cell_length_c 4.44
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_magn.name_BNS 'P -1'
_space_group_magn.number_BNS 2.4
loop_
_space_group_symop_magn_operation.id
_space_group_symop_magn_operation.xyz
1 x,y,z,+1
2 -x,-y,-z,-1
loop_
_space_group_symop_magn_centering.id
_space_group_symop_magn_centering.xyz
1 x,y,z,+1
2 x+1/2,y+1/2,z,-1
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Mn1 Mn2+ 0 0 0
O1 O2- 0.5 0.5 0.5
loop_
_atom_site_moment.label
_atom_site_moment.crystalaxis_x
_atom_site_moment.crystalaxis_y
_atom_site_moment.crystalaxis_z
Mn1 4.5 0 0
""",
)
POSCARS = (
    """SrTiO3
3.905
1 0 0
0 1 0
0 0 1
Sr Ti O
1 1 3
Selective dynamics
direct
0.0 0.0 0.0 T T F
0.5 0.5 0.5 T T F
0.5 0.5 0.0 F F F
0.5 0.0 0.5 F F F
0.0 0.5 0.5 F F F
""",
    """Na Cl
-44.85
0.0 2.82 2.82
2.82 0.0 2.82
2.82 2.82 0.0
1 1
Cartesian
0 0 0 Na
2.82 0 0 Cl

0 0 0
0 0 0
""",
)
XYZS = (
    """2
Lattice="5.64 0 0 0 5.64 0 0 0 5.64" Properties=species:S:1:pos:R:3:forces:R:3 energy=-3.1 pbc="T T T"
Na 0 0 0 0 0 0
Cl 2.82 2.82 2.82 0.1 0 0
""",
    """1
Lattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 pbc="T T T" config_type=bulk flag
Fe 0 0 0
2
Lattice="4 0 0 0 4 0 0 0 4"
Cs 0.0 0.0 0.0
I 2.0 2.0 2.0
""",
)
STRUCTURE_WORDS = (
    *(
        "data_",
        "loop_",
        "stop_",
        "save_",
        "global_",
        "_cell_length_a",
        "_atom_site_label",
        "_atom_site_fract_x",
        ";",
        "#",
    ),
    *(
        "_symmetry_equiv_pos_as_xyz",
        "x,y,z",
        "-x,-y,1/2+z",
        "x+1/0,y,z",
        "_symmetry_space_group_name_H-M",
        "'R -3 m :R'",
    ),
    *("'F d -3 m :1'", "_space_group_IT_number", "230", "_space_group_name_Hall", "'-F 2 2 3'", "_atom_site_occupancy"),
    *("Direct", "Cartesian", "Selective", "T", "F", "D", "Xx", "Na+", "Fe3+", "O2-", "X0+", "Uuo", "Pm", "H", "Wat"),
    *("Lattice=", "Properties=", "species:S:1:pos:R:3", "pos:R:-1", "Z:I:1", 'pbc="F F F"', "pbc=", "inf", "?", "."),
)
FORMULAS = (
    *(
        "Fe2O3",
        "Ca(OH)2",
        "(NH4)2SO4",
        "LiFePO4",
        "CuSO4\u00b75H2O",
        "Na0.5Cl0.5",
        "Li\u2082S",
        "Ba(Zr0.2Ti0.8)O3",
        "NaN",
        "D2O",
    ),
    *("YBa2Cu3O7-x", "[Co(NH3)6]Cl3", "$Li_2S$", "LiFeP04", "Fe 2 O 3", "K4[Fe(CN)6].3H2O", "Al2(SO4)3", "UO2"),
)
FORMULA_WORDS = (
    "Na",
    "Cl",
    "O",
    "Uue",
    "X",
    "D",
    "Bk",
    "Lr",
    "Og",
    "(",
    ")",
    "\u00b7",
    "\u2082",
    "+",
    "2-",
    "Fe3+",
    "e",
    "n",
    "x",
)
FIELDS = (
    "Li-Sn-S-Cl",
    "Li Sn S Cl",
    "Cl-Li-N-Y",
    "Fe-O",
    "Mg,Al,O",
    "Li\u2013Zn\u2013O",
    "Na-Na-O",
    "Fe",
    "Ba-Ti-O-N-F",
)
SEARCHES = (
    *("Li-*-S-*", "has:Li,S not:Pb n<=4", "any:S,Se", "only:Li,P,S", "Fe2O3", "n=3 Li", "mp-149", "*", "n>=2 has:O"),
    *("Li-S", "not:Li Fe2O3", "has:Li any:O,S only:Li,O,S", "LiFePO4 n<5", "Cu2MnAl", "has: Li"),
)
SEARCH_WORDS = ("has:", "not:", "any:", "only:", "n<=", "n>", "*", "-", "Li", "S", "Xx", "Fe2O3", "mp-1", ",", "none:")
FORMULA_TABLES = (
    "formula\nFe2O3\nNaCl\nCa(OH)2\n",
    'id,formula,note\n1,SrTiO3,"a, b"\n2,LiFePO4,\n3,"MoS2",x\n4,CuSO4\u00b75H2O,\n',
    "Formula;value\r\nAl2O3;1,5\r\nMgO;2,5\r\n",
    "formula\tgap\nGaN\t3.4\nZnO\t3.3\n",
)
FIELD_TABLES = (
    "phase_field\nLi-Sn-S-Cl\nMg-Al-O-N\n",
    'phase_field,score,note\nLi-Y-N-Cl,1.5,"x"\nNa-Na-O-S,2,\nK-Ca-F-I,3,\n',
)
STRUCTURE_TABLES = (
    'material_id,cif,gap\na,"' + CIFS[0].replace('"', '""') + '",1.5\nb,"' + CIFS[2].replace('"', '""') + '",2\n',
    "material_id,formula,lattice,numbers,frac_coords,energy\n"
    'a,CsI,"[[4,0,0],[0,4,0],[0,0,4]]","[55,53]","[[0,0,0],[0.5,0.5,0.5]]",-1\n'
    'b,Po,"[[3,0,0],[0,3,0],[0,0,3]]","[84]","[[0,0,0]]",-2\n',
    "id,formula,energy\n1,Fe2O3,-1.5\n2,NaCl,-2.1\n",
)
TABLE_WORDS = (
    "formula",
    "phase_field",
    "cif",
    "lattice",
    "numbers",
    "NaN",
    "null",
    '"',
    ",",
    ";",
    "Fe2O3",
    "[",
    "]",
    "a-b",
)
_ANGLES = [10 + 0.5 * i for i in range(14)]
PATTERNS = (
    "# 2theta intensity\n" + "\n".join(f"{angle} {100 + 3 * angle}" for angle in _ANGLES),
    "Angle;Counts\n" + "\n".join(f"{angle:.2f};{200 + angle * 7:.1f}".replace(".", ",") for angle in _ANGLES),
    "2theta,intensity,error\n" + "\n".join(f"{angle},{1000 - angle},1.0" for angle in _ANGLES),
    "\n".join(f"{angle:.3f}\t{50 + angle}" for angle in _ANGLES),
)
CONDITIONS = (  # samples, seed, must, may, never, elements, atoms, formation energy, limit
    ("100", "1", "Li,O", "Fe,P", "Pb,Hg", "3", "2-20", "-2.0", "formation-energy=0.1"),
    ("5", "0", "", "", "", "", "", "1.5", "formation-energy=1"),
    ("2000", "7", "Na", "", "Cd", "2-4", "5", "-0.5", "formation-energy=0.25"),
)
ENUMERATIONS = (("Li", "Mg,Al,Sn", "S,Cl,O", "4", "2"), ("", "Na K", "F", "2", "1"))
COMMANDS = (
    ("models",),
    ("models", "--json"),
    ("enumerate", "--must", "Li", "--cations", "Mg,Al,Sn", "--anions", "S,Cl,O", "--out", "fields.csv"),
    ("enumerate", "--cations", "Na,K", "--anions", "F,Cl", "--n-elements", "3", "--n-anions", "1"),
    ("rank", "fields.csv", "--model", "phase_field_norm", "--out", "ranked.csv"),
    ("check", "formulas.csv", "--out", "verdicts.csv"),
    ("check", "salt.cif"),
    ("encode", "phase_field_norm", "fields.csv", "--out", "fields.parquet", "--mixed-valence"),
    ("decode", "phase_field_norm", "points.npy", "--out", "decoded.csv"),
    (
        "generate",
        "formula_lm_icsd",
        "-n",
        "3",
        "--seed",
        "1",
        "--never",
        "Pb,Hg",
        "--elements",
        "2-4",
        "--out",
        "made.csv",
    ),
    ("data", "list", "--json"),
    ("data", "import", "mine", "formulas.csv"),
    ("predict", "two_d_screen", "formulas.csv", "--out", "properties.csv"),
)
COMMAND_WORDS = (
    *(
        "--out",
        "-n",
        "--seed",
        "--help",
        "--json",
        "--must",
        "--model",
        "--",
        "-",
        "--mixed-valence",
        "--near",
        "--width",
    ),
    *(
        "--formation-energy",
        "--within",
        "formation-energy=0.1",
        "formula_lm_icsd",
        "phase_field_norm",
        "icsg3d",
        "salt.cif",
    ),
    *("formulas.csv", "fields.csv", "points.npy", "nothing.csv", "made.parquet", "check", "rank", "models", "data"),
)
