from .judging import Protocol as Protocol, content_of as content_of, failed as failed, structure_of as structure_of
from .scores import MEASURES as MEASURES, Measure as Measure, score as score
from .sets import table_of as table_of
