"""Registers the environments with Gymnasium.

The entry point ``gymnasium.envs`` names :func:`register_envs`. Gymnasium 1.0 and later read no entry points
by themselves, so ``import envs`` registers too, and ``gymnasium.make("envs:Tarifa/Pricing-v0")`` does both.
"""

from __future__ import annotations

from gymnasium.envs.registration import (
    register,  # pyright: ignore[reportUnknownVariableType] - Gymnasium leaves kwargs untyped
    registry,
)

__all__ = ["COUPON", "PRICING", "register_envs"]

PRICING = "Tarifa/Pricing-v0"
"""The shelf-price environment, single and natively batched."""

COUPON = "Tarifa/Coupon-v0"
"""The coupon environment, single and natively batched."""


def register_envs() -> None:
    """Register every environment once; loads none of them."""
    if PRICING not in registry:
        register(
            id=PRICING,
            entry_point="envs.pricing:PricingEnv",
            vector_entry_point="envs.pricing:PricingVectorEnv",
        )
    if COUPON not in registry:
        register(
            id=COUPON,
            entry_point="envs.coupon:CouponEnv",
            vector_entry_point="envs.coupon:CouponVectorEnv",
        )
