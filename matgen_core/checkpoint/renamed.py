"""Names that checkpoints had before: what is asked for by an old name is found, and a line says so.

The language models of formulas were called after MatGAN, the Wasserstein GAN of the paper that they go back to, until
that was built itself. So an old name may be another model's today.
"""

import re
from collections.abc import Collection

RENAMED = {
    "matgan_icsd": "formula_lm_icsd",
    "matgan_icsd_filtered": "formula_lm_icsd_filtered",
    "matgan_oqmd": "formula_lm_oqmd",
}
_OLD = re.compile(rf"(?<![\w-])(?:{'|'.join(RENAMED)})(?![\w-])")


def found(name: str, present: Collection[str]) -> tuple[str, str]:
    """Return what a checkpoint is called now, and what to say of it; "" if it had no other name.

    Args:
        name: As it is asked for. Where another model has an old name today, that model is meant.
        present: All that there are.
    """
    new = RENAMED.get(name)
    if new is None:
        return name, ""
    if name in present:
        return name, f"{name} is the GAN of the paper; the language model that had this name is {new}"
    return new, f"{name} is called {new} now, a language model; that one is used"


def names_in(text: str) -> list[str]:
    """Return the names in a text, whole words alone, that a checkpoint had before."""
    return list(dict.fromkeys(_OLD.findall(text)))


def brought_up_to_date(text: str) -> str:
    """Return a text with today's names in place of those that the same checkpoints had before."""
    return _OLD.sub(lambda old: RENAMED[old[0]], text)
