"""The parts that materials are split into for learning: one name for each, whatever the arrays.

Arrays store the place of a part in its tuple as a small number, so the order of a tuple must not change.
"""

TRAIN = "train"  # what the networks learn from
VAL = "val"  # watched while they learn
TEST = "test"  # what figures are of
OTHER = "other"  # learned from beside the training part, and in no figure
HELD_OUT = "held_out"  # not learned from, for generators, which have one such part

THREE_PARTS = (TRAIN, VAL, TEST)  # of crystals
PAIR_PARTS = (*THREE_PARTS, OTHER)  # of crystals of two elements
TWO_PARTS = (TRAIN, HELD_OUT)  # of formulas

# DING's groups, by chemical system, and the part that each belongs to. The generator is told the properties of the
# guide's group alone, the judge knows those of its own group alone, so what judges a generated formula has nothing from
# what asked for it.
PART_OF_GROUP = {"guide": TRAIN, "judge": TRAIN, "validation": VAL, "test": TEST}
GROUPS = tuple(PART_OF_GROUP)
TRAINING_GROUPS = tuple(group for group, part in PART_OF_GROUP.items() if part == TRAIN)
