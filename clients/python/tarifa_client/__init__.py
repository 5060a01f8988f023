"""A small typed client of Tarifa's HTTP API."""

from tarifa_client.client import Client, Patience
from tarifa_client.errors import Malformed, Problem, TarifaClientError, Unavailable
from tarifa_client.offers import Cart, CartLine, Offer, OfferSource
from tarifa_client.redemptions import Line, Redemption, Reservation

__all__ = [
    "Cart",
    "CartLine",
    "Client",
    "Line",
    "Malformed",
    "Offer",
    "OfferSource",
    "Patience",
    "Problem",
    "Redemption",
    "Reservation",
    "TarifaClientError",
    "Unavailable",
]
