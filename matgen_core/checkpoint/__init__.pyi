from .folder import (
    NO_HASHES as NO_HASHES,
)
from .folder import (
    CheckpointError as CheckpointError,
)
from .folder import (
    blamed as blamed,
)
from .folder import (
    documents as documents,
)
from .folder import (
    fingerprint as fingerprint,
)
from .folder import (
    has_map as has_map,
)
from .folder import (
    hashes as hashes,
)
from .folder import (
    names as names,
)
from .folder import (
    root as root,
)
from .folder import (
    summaries as summaries,
)
from .folder import (
    summary as summary,
)
from .whole import (
    Checkpoint as Checkpoint,
)
from .whole import (
    amend as amend,
)
from .whole import (
    config_of as config_of,
)
from .whole import (
    load as load,
)
from .whole import (
    save as save,
)
from .whole import (
    write_card as write_card,
)
