"""The search for oxidation states that add up to zero, compiled.

It is imported where it is used: numba takes half a second, and eight when it compiles for the first time.

What a set of elements can carry is a set of whole numbers, held as bits: bit v of the words stands for the charge v.
One more element with the charges a, b, ... makes of a set S the union of S shifted by a, by b, ...

Anions are more electronegative than cations exactly if the elements, in order of electronegativity, can be cut in two:
cations before the cut, anions behind it. So the sums of the cations of every beginning, and those of the anions of
every end, decide it. Where the signs are free, every state is counted from the element's lowest one, so that all
shifts are to the left, and the wanted sum is what the lowest states lack of zero.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matgen_core.checks.findings import (
    ELEMENT,
    EMPTY,
    MAX_COUNT,
    NO_ELECTRONEGATIVITY,
    NO_STATES,
    NOTHING,
    PLAIN,
    TOO_MANY,
    UNUSUAL,
)
from matgen_core.jobs.compiled import compiled

CATION, ANION, FREE = 0, 1, 2

_ONE = np.uint64(1)


class States(NamedTuple):
    """Oxidation states by CATION, ANION or FREE and by atomic number.

    Attributes:
        charges: (3, 256, n_states) int64; CATION and FREE from the highest to the lowest, ANION the other way round.
        steps: (3, 256, n_states) int64, the same as CATION, their size as ANION, their height above the lowest as FREE.
        joined: (3, 256, n_states) bool, whether a state and the one behind it may occur together.
        n_states: (3, 256) int64.
        electronegativity: (256,) float64, NaN where there is none.
        may_mix: (4, 256) bool, the elements that may occur in two states, by what that would be called (a finding).
        metal: (256,) bool.
    """

    charges: NDArray[np.int64]
    steps: NDArray[np.int64]
    joined: NDArray[np.bool_]
    n_states: NDArray[np.int64]
    electronegativity: NDArray[np.float64]
    may_mix: NDArray[np.bool_]
    metal: NDArray[np.bool_]


@compiled
def _has(bits: NDArray[np.uint64], value: int) -> bool:
    word = value >> 6
    return value >= 0 and word < len(bits) and (bits[word] >> np.uint64(value & 63)) & _ONE != 0


@compiled
def _add_shifted(target: NDArray[np.uint64], source: NDArray[np.uint64], shift: int) -> None:
    """Add the numbers of `source`, all larger by `shift`; the two may be one array."""
    skipped, left = shift >> 6, np.uint64(shift & 63)
    right = np.uint64(64 - (shift & 63))
    for word in range(len(target) - 1, skipped - 1, -1):
        bits = source[word - skipped] << left
        if left and word > skipped:
            bits |= source[word - skipped - 1] >> right
        target[word] |= bits


@compiled
def _grow(
    new: NDArray[np.uint64],
    old: NDArray[np.uint64],
    spare: NDArray[np.uint64],
    states: States,
    sign: int,
    element: int,
    count: int,
    mixed: bool,
) -> None:
    """Write to `new` the sums of `old` with `count` atoms of one element more."""
    steps, n_states = states.steps[sign, element], states.n_states[sign, element]
    new[:] = 0
    for k in range(n_states):
        _add_shifted(new, old, steps[k] * count)
    if not mixed:
        return
    for k in range(n_states - 1):
        if states.joined[sign, element, k]:
            # The sums of two states are evenly spaced: each shift makes twice as many of them. That of all atoms in
            # the higher state stands there already.
            apart = steps[k] - steps[k + 1]
            spare[:] = 0
            _add_shifted(spare, old, steps[k + 1] * count)
            n_sums = 1
            while n_sums < count:
                more = min(n_sums, count - n_sums)
                _add_shifted(spare, spare, apart * more)
                n_sums += more
            for word in range(len(new)):
                new[word] |= spare[word]


@compiled
def _choose(
    old: NDArray[np.uint64], value: int, states: States, sign: int, element: int, count: int, mixed: bool
) -> tuple[int, int, int]:
    """Return two states (or one twice) of the element that `_grow` added to `old`, and what is left of the value."""
    steps, charges = states.steps[sign, element], states.charges[sign, element]
    n_states = states.n_states[sign, element]
    for k in range(n_states):
        left = value - steps[k] * count
        if _has(old, left):
            return charges[k], charges[k], left
    if mixed:
        for k in range(n_states - 1):
            if states.joined[sign, element, k]:
                for n_high in range(1, count):
                    left = value - steps[k + 1] * count - n_high * (steps[k] - steps[k + 1])
                    if _has(old, left):
                        return min(charges[k], charges[k + 1]), max(charges[k], charges[k + 1]), left
    return 0, 0, -1


@compiled
def _balance(
    numbers: NDArray[np.uint8],
    counts: NDArray[np.int64],
    mixed: NDArray[np.bool_],
    states: States,
    room: NDArray[np.uint64],
    chosen: NDArray[np.int64],
    choose: bool,
) -> bool:
    n = len(numbers)
    most_cation, most_anion = 0, 0
    for i in range(n):
        element = numbers[i]
        most_cation += max(states.steps[CATION, element, 0], 0) * counts[i]
        most_anion += max(states.steps[ANION, element, 0], 0) * counts[i]
    n_words = (min(most_cation, most_anion) >> 6) + 1
    sums = room[: (2 * n + 3) * n_words].reshape(2 * n + 3, n_words)
    cations = sums[: n + 1]  # row i: of the first i elements
    anions = sums[n + 1 : 2 * n + 2]  # row i: of all but the first i elements, without their sign
    spare = sums[2 * n + 2]
    cations[0], anions[n] = 0, 0
    cations[0, 0], anions[n, 0] = _ONE, _ONE
    n_cations = 0
    while n_cations < n - 1 and states.n_states[CATION, numbers[n_cations]]:
        i = n_cations
        _grow(cations[i + 1], cations[i], spare, states, CATION, numbers[i], counts[i], mixed[i])
        n_cations += 1
    # From the last cut on: the fewer elements are anions, the likelier the choice.
    for cut in range(n - 1, 0, -1):
        if not states.n_states[ANION, numbers[cut]]:
            return False
        _grow(anions[cut], anions[cut + 1], spare, states, ANION, numbers[cut], counts[cut], mixed[cut])
        if cut > n_cations or not states.electronegativity[numbers[cut - 1]] < states.electronegativity[numbers[cut]]:
            continue
        for word in range(n_words - 1, -1, -1):
            both = cations[cut, word] & anions[cut, word]
            if both == 0:
                continue
            if choose:
                # Of several sums the largest: the most ionic choice.
                value = word * 64 + 63
                while not _has(cations[cut], value) or not _has(anions[cut], value):
                    value -= 1
                left = value
                for k in range(cut - 1, -1, -1):
                    low, high, left = _choose(cations[k], left, states, CATION, numbers[k], counts[k], mixed[k])
                    chosen[k, 0], chosen[k, 1] = low, high
                left = value
                for k in range(cut, n):
                    low, high, left = _choose(anions[k + 1], left, states, ANION, numbers[k], counts[k], mixed[k])
                    chosen[k, 0], chosen[k, 1] = low, high
            return True
    return False


@compiled
def _neutralize(
    numbers: NDArray[np.uint8],
    counts: NDArray[np.int64],
    mixed: NDArray[np.bool_],
    states: States,
    room: NDArray[np.uint64],
    chosen: NDArray[np.int64],
    choose: bool,
) -> bool:
    n = len(numbers)
    wanted, most = 0, 0
    for i in range(n):
        element = numbers[i]
        wanted -= states.charges[FREE, element, states.n_states[FREE, element] - 1] * counts[i]
        most += states.steps[FREE, element, 0] * counts[i]
    if wanted < 0 or wanted > most:
        return False
    n_words = (wanted >> 6) + 1
    sums = room[: (n + 2) * n_words].reshape(n + 2, n_words)
    spare = sums[n + 1]
    sums[0] = 0
    sums[0, 0] = _ONE
    for i in range(n):
        _grow(sums[i + 1], sums[i], spare, states, FREE, numbers[i], counts[i], mixed[i])
    if not _has(sums[n], wanted):
        return False
    if choose:
        left = wanted
        for k in range(n - 1, -1, -1):
            low, high, left = _choose(sums[k], left, states, FREE, numbers[k], counts[k], mixed[k])
            chosen[k, 0], chosen[k, 1] = low, high
    return True


@compiled
def judge(
    numbers: NDArray[np.uint8],
    counts: NDArray[np.int64],
    states: States,
    balanced: bool,
    mixed_valence: bool,
    alloys: int,
    n_words: int,
    findings: NDArray[np.int8],
    chosen: NDArray[np.int64],
) -> None:
    """Judge formulas.

    Args:
        numbers: (N, n_slots) uint8, atomic numbers from the least to the most electronegative, 0 behind them.
        counts: (N, n_slots) int64.
        states: The table of states.
        balanced: Whether every anion must be more electronegative than any cation.
        mixed_valence: Whether to look further than one state an element.
        alloys: The finding for metals alone, or NOTHING to judge them as all others.
        n_words: Words of 64 bits that hold every sum of charges.
        findings: (N,) int8, gets what is found.
        chosen: (N, n_slots, 2) int64, gets the lowest and the highest state of each element where there is a choice;
            one of no slots gets nothing.
    """
    n_slots = numbers.shape[1]
    choose = chosen.shape[1] > 0
    room = np.empty((2 * n_slots + 3) * n_words, np.uint64)
    mixed, amounts = np.empty(n_slots, np.bool_), np.empty(n_slots, np.int64)
    for row in range(len(numbers)):
        n, divisor = 0, 0
        metals, stateless, placeless = True, False, False
        while n < n_slots and numbers[row, n]:
            element = numbers[row, n]
            metals = metals and states.metal[element]
            stateless = stateless or states.n_states[FREE, element] == 0
            placeless = placeless or np.isnan(states.electronegativity[element])
            rest = counts[row, n]
            while rest:
                divisor, rest = rest, divisor % rest
            n += 1
        if n == 0:
            findings[row] = EMPTY
            continue
        largest = 0
        for i in range(n):
            amounts[i] = counts[row, i] // divisor
            largest = max(largest, amounts[i])
        if n == 1:
            findings[row] = ELEMENT
        elif metals and alloys != NOTHING:
            findings[row] = alloys
        elif stateless:
            findings[row] = NO_STATES
        elif balanced and placeless:
            findings[row] = NO_ELECTRONEGATIVITY
        elif largest > MAX_COUNT:
            findings[row] = TOO_MANY
        else:
            findings[row] = NOTHING
            here, choice = numbers[row, :n], chosen[row]
            for stage in range(PLAIN, (UNUSUAL if mixed_valence else PLAIN) + 1):
                wider = stage == PLAIN
                for i in range(n):
                    mixed[i] = states.may_mix[stage, here[i]] and amounts[i] > 1
                    wider = wider or (mixed[i] and not states.may_mix[stage - 1, here[i]])
                # What is balanced is neutral: the same search comes first, and names the likelier states.
                if wider and (
                    _balance(here, amounts, mixed, states, room, choice, choose)
                    or (not balanced and _neutralize(here, amounts, mixed, states, room, choice, choose))
                ):
                    findings[row] = stage
                    break
