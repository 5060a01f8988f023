"""The state of a training between two rollouts, as an archive without pickle."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO

from pricing.archive import pack, unpack
from pricing.arrays import Floats
from pricing.errors import ArtifactError

__all__ = ["read_checkpoint", "write_checkpoint"]

_KIND, _VERSION = "ppo-checkpoint", 1


def write_checkpoint(model: PPO, curve: Floats, training: tuple[object, ...]) -> bytes:
    """Return weights and optimiser state after the rollouts of `curve`, which goes with them.

    Parameters
    ----------
    model
        Between two rollouts.
    curve
        float64 [R, 2]; see :func:`policies.train.ppo.train_ppo`.
    training
        What identifies it.
    """
    arrays: dict[str, NDArray[Any]] = {"curve": curve}
    for name, tensor in model.policy.state_dict().items():
        arrays[f"policy.{name}"] = tensor.numpy()
    for place, state in model.policy.optimizer.state_dict()["state"].items():
        for name, tensor in state.items():
            arrays[f"optimizer.{place}.{name}"] = tensor.numpy()
    return pack(_KIND, _VERSION, arrays, {"training": repr(training)})


def read_checkpoint(content: bytes, model: PPO, training: tuple[object, ...]) -> Floats:
    """Put a fresh model where the checkpoint left it and return the curve of the rollouts done.

    Raises
    ------
    ArtifactError
        If it is corrupt or belongs to another training.
    """
    arrays, meta = unpack(_KIND, _VERSION, content)
    if meta.get("training") != repr(training):
        raise ArtifactError(
            "This checkpoint belongs to another training.",
            why=f"It was written by {meta.get('training')}.",
            todo="Resume with the same seed, settings and products, or start anew.",
        )
    weights = {
        name.removeprefix("policy."): torch.as_tensor(np.array(array))
        for name, array in arrays.items()
        if name.startswith("policy.")
    }
    try:
        model.policy.load_state_dict(weights)
        _load_optimizer(model, arrays)
        return np.asarray(arrays["curve"].reshape(-1, 2), dtype=np.float64)
    except (RuntimeError, KeyError, ValueError) as error:
        raise ArtifactError("This checkpoint does not fit the network.", why=str(error)) from error


def _load_optimizer(model: PPO, arrays: dict[str, NDArray[Any]]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, array in arrays.items():
        if name.startswith("optimizer."):
            _, place, key = name.split(".")
            state.setdefault(int(place), {})[key] = torch.as_tensor(np.array(array))
    whole = model.policy.optimizer.state_dict()
    model.policy.optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})
