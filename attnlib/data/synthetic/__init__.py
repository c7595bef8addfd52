"""Tasks whose right attention map is known, so that a learnt map can be marked."""

from attnlib.data.synthetic.graphs import NeighbourTask, planted_neighbour_task
from attnlib.data.synthetic.sequences import (
    MarkedTask,
    alignment_task,
    copy_task,
    lookup_task,
    reverse_task,
)
from attnlib.data.synthetic.series import (
    FeatureTask,
    LagTask,
    context_feature_task,
    planted_lag_task,
)

__all__ = [
    "FeatureTask",
    "LagTask",
    "MarkedTask",
    "NeighbourTask",
    "alignment_task",
    "context_feature_task",
    "copy_task",
    "lookup_task",
    "planted_lag_task",
    "planted_neighbour_task",
    "reverse_task",
]
