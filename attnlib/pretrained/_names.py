"""What Hugging Face calls the weights of a BERT, and what we call them."""

from collections.abc import Mapping

from torch import Tensor

from attnlib._checks import check_floating

# Our modules, and what Hugging Face calls them.
EMBEDDINGS = {
    "words.embedding": "word_embeddings",
    "words.encoding": "position_embeddings",
    "segments": "token_type_embeddings",
    "norm": "LayerNorm",
}
LAYER = {
    "self_attention.q_proj": "attention.self.query",
    "self_attention.k_proj": "attention.self.key",
    "self_attention.v_proj": "attention.self.value",
    "self_attention.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "feed_forward.linear1": "intermediate.dense",
    "feed_forward.linear2": "output.dense",
    "norm2": "output.LayerNorm",
}
# The numbers 0, 1, 2, ..., and the classifier of BERT's first training, which only looks at [CLS].
UNUSED = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}


def weights_of_bert(
    owner: str, weights: object, own: Mapping[str, Tensor], num_layers: int
) -> dict[str, Tensor]:
    """The weights under our names; raise unless every tensor of `own` has one, and none is over."""
    if not isinstance(weights, Mapping):
        raise TypeError(
            f"{owner}: weights is a {type(weights).__name__}, expected a dict of tensors; "
            f"write model.state_dict()"
        )
    ours = {_name_in_bert(name): name for name in own}
    missing, left_over = ours.keys() - weights.keys(), weights.keys() - ours.keys() - UNUSED
    if missing or left_over:
        raise ValueError(
            f"{owner}: weights lacks {sorted(missing)[:2]} and has {sorted(left_over)[:2]}, "
            f"expected those of a BERT with {num_layers} layers and no more; "
            f"build the encoder for its config, and strip prefixes from the names"
        )
    for name in ours:
        check_floating(owner, name, weights[name])
        if weights[name].shape != own[ours[name]].shape:
            raise ValueError(
                f"{owner}: {name} has shape {tuple(weights[name].shape)}, expected "
                f"{tuple(own[ours[name]].shape)}; build the encoder for the config of the weights"
            )
    return {ours[name]: weights[name] for name in ours}


def _name_in_bert(name: str) -> str:
    """layers.0.norm1.weight is encoder.layer.0.attention.output.LayerNorm.weight."""
    module, _, kind = name.rpartition(".")
    if not module.startswith("layers."):
        return f"embeddings.{EMBEDDINGS[module]}.{kind}"
    _, number, part = module.split(".", 2)
    return f"encoder.layer.{number}.{LAYER[part]}.{kind}"
