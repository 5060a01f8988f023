"""Gymnasium environments over the simulator; importing this package registers them."""

from __future__ import annotations

from envs.registration import register_envs

register_envs()
