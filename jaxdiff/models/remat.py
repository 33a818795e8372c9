"""What a block's backward pass computes again instead of keeping it in memory."""

import flax.linen as nn
import jax

__all__ = ["POLICIES", "check_remat", "rematerialised"]

_policies = jax.checkpoint_policies


def _is_convolution(primitive, *_, **__) -> bool:
    return primitive.name == "conv_general_dilated"


# What is kept of the values inside a block. "products": results of convolutions and of
# layers, not attention's n x n; norms, activations and dropout are computed again.
POLICIES = {
    "block": _policies.nothing_saveable,
    "products": _policies.save_from_both_policies(
        _is_convolution, _policies.dots_with_no_batch_dims_saveable
    ),
    "dots_saveable": _policies.dots_saveable,
    "dots_with_no_batch_dims_saveable": _policies.dots_with_no_batch_dims_saveable,
}


def check_remat(remat: str) -> str:
    """Errors: ValueError if it is neither "none" nor one of POLICIES."""
    if remat != "none" and remat not in POLICIES:
        raise ValueError(
            f"remat must be one of none, {', '.join(POLICIES)}, got {remat=}"
        )
    return remat


def rematerialised(block: type[nn.Module], remat: str, static: int) -> type[nn.Module]:
    """The block with the same parameters, whose backward pass keeps what `remat` names.

    static: the position of its argument `train`, counted from the module.
    """
    if remat == "none":
        return block
    return nn.remat(block, policy=POLICIES[remat], static_argnums=(static,))
