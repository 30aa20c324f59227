"""What a search for oxidation states can find, as small numbers, and which answer each is."""

import numpy as np

NOTHING = 0  # no choice of states adds up to zero
PLAIN = 1  # one with a single state an element
MIXED = 2  # one with two states of an element that is known for them
UNUSUAL = 3  # one with two states of another metal
ELEMENT = 4
ALLOY = 5  # metals alone, which need no oxidation states
ALLOY_PASSES = 6  # metals alone, by a rule that lets them pass
NO_STATES = 7  # of an element no states are known
NO_ELECTRONEGATIVITY = 8
EMPTY = 9  # no elements
TOO_MANY = 10  # a count above MAX_COUNT

ANSWERS = np.array([0, 1, 1, -1, 1, -1, 1, -1, -1, 0, -1], np.int8)  # 1 pass, 0 fail, -1 undecided
MAX_COUNT = 10_000  # of an element in the smallest whole ratio
