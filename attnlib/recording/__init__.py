"""Attention as an object: record the weights of every layer of a model, read them, test them.

Recording is done by hooks on the real forward pass: there is no second pass that could differ,
and no layer keeps its weights alive. A map says where a layer looked; whether the answer depends
on it is another question, which `leave_one_out`, `even_weights` and `erasure_curve` ask.
"""

from attnlib.recording.erasure import comprehensiveness, erasure_curve, leave_one_out, sufficiency
from attnlib.recording.even import even_weights
from attnlib.recording.gradients import gradient_weighted
from attnlib.recording.hooks import record_attention
from attnlib.recording.maps import AttentionMap
from attnlib.recording.ranking import auc, kendall_tau
from attnlib.recording.rollout import rollout

__all__ = [
    "AttentionMap",
    "auc",
    "comprehensiveness",
    "erasure_curve",
    "even_weights",
    "gradient_weighted",
    "kendall_tau",
    "leave_one_out",
    "record_attention",
    "rollout",
    "sufficiency",
]
