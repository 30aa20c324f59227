from .judging import Protocol as Protocol
from .judging import content_of as content_of
from .judging import failed as failed
from .judging import structure_of as structure_of
from .scores import MEASURES as MEASURES
from .scores import Measure as Measure
from .scores import score as score
from .sets import table_of as table_of
