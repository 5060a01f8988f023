"""A trained torch policy to plain NumPy."""

from __future__ import annotations

import numpy as np
import torch
from stable_baselines3 import PPO

from policies.serve.network import NetworkPolicy
from pricing.arrays import Floats
from pricing.errors import ArtifactError
from pricing.features import FEATURES

__all__ = ["export"]


def export(model: PPO, centre: Floats, scale: Floats, width: float, trained_on: str) -> NetworkPolicy:
    """Return the policy network of a trained model as a :class:`policies.serve.network.NetworkPolicy`.

    Parameters
    ----------
    model
        Trained on :class:`policies.train.rows.ProductRows`: tanh layers, one latent.
    centre, scale
        float64 [F]; what its observations were standardised by.
    width, trained_on
        See the policy.

    Raises
    ------
    ArtifactError
        If a weight is not finite: training has diverged.
    """
    policy = model.policy
    found = [*policy.mlp_extractor.policy_net, policy.action_net]
    layers = [layer for layer in found if isinstance(layer, torch.nn.Linear)]
    weights = tuple(_numpy(layer.weight).T.copy() for layer in layers)
    biases = tuple(_numpy(layer.bias) for layer in layers)
    deviation = np.exp(_numpy(policy.state_dict()["log_std"]))
    if not all(bool(np.isfinite(array).all()) for array in (*weights, *biases, deviation)):
        raise ArtifactError("Training has diverged: a weight is not finite.", todo="Lower learning_rate.")
    return NetworkPolicy(
        features=tuple(feature.name for feature in FEATURES),
        centre=centre,
        scale=scale,
        weights=weights,
        biases=biases,
        width=width,
        deviation=float(deviation[0]),
        trained_on=trained_on,
    )


def _numpy(tensor: torch.Tensor) -> Floats:
    return np.asarray(tensor.detach().numpy(), dtype=np.float64)
