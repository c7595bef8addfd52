"""What users say to a booking service, and to what end."""

import json
import re

from attnlib.data.archives import read_member
from attnlib.data.catalogue import fetch_set
from attnlib.data.labelled import TextSet, labelled_texts, word_pairs

__all__ = ["dialogue_acts"]


def dialogue_acts() -> TextSet:
    """Utterances that people wrote as users of a booking service, each with one of 17 acts.

    An act is a domain and a purpose: "Hotel-Inform", "Train-Request", "general-thank". The archive
    has the utterances without their dialogues, and replaces names and numbers by markers that name
    the act, as "#HOTEL-INFORM-TYPE#": here the marker is "#" alone. Utterances that occur with two
    acts ("What is the address?") are left out. The acts are very uneven: the most frequent has 20 %
    of the utterances, the rarest 0.1 %, so report the mean over the acts as well.

    Returns:
        TextSet of 17 classes

    Raises:
        DataUnavailable: the archive is not in the cache and cannot be had.

    Reference: Budzianowski et al. 2018, "MultiWOZ: A large-scale multi-domain Wizard-of-Oz dataset
    for task-oriented dialogue modelling", arXiv:1810.00278
    """
    data_set, path = fetch_set("dialogue-acts")
    acts = json.loads(
        read_member(path, "convlab/nlg/template/multiwoz/auto_user_template_nlg.json")
    )
    rows = [
        (re.sub(r"#[A-Z0-9-]+#", "#", utterance), label)
        for label, utterances_by_slots in enumerate(acts.values())
        for utterances in utterances_by_slots.values()
        for utterance in utterances
    ]
    return labelled_texts(data_set.name, rows, tuple(acts), word_pairs)
