"""Money as integer minor units: read from text exactly, split without losing a cent, written at the edge."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pricing.arrays import Ints
from pricing.errors import DataError

__all__ = ["Currency", "apportion"]

_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP "
    "MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS "
    "VES WST XCD XCG YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_BY_CODE = {code: exponent for exponent, codes in _EXPONENTS.items() for code in codes.split()}
_AMOUNT = re.compile(
    r"([+-]?)(\d+)(?:\.(\d*))?|([+-]?)\.(\d+)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency of ISO 4217.

    Attributes
    ----------
    code
        Three capital letters.
    exponent
        Decimal places of the minor unit: 2 for cents, 0 for yen, 3 for Kuwaiti fils.
    """

    code: str
    exponent: int

    @staticmethod
    def of(code: str) -> Currency:
        """Return the currency of an ISO 4217 code; raises :class:`DataError` for an unknown one."""
        if code not in _BY_CODE:
            raise DataError(
                f"{code!r} is not a currency code of ISO 4217.", todo="Give three letters, for example EUR."
            )
        return Currency(code, _BY_CODE[code])

    @property
    def scale(self) -> int:
        """Minor units in one unit of the currency: 100 for USD, 1 for JPY."""
        return int(10**self.exponent)

    def parse(self, text: str) -> int:
        """Return a decimal amount with a point (``"12.5"``) as minor units (1250), exactly.

        Raises
        ------
        DataError
            If the text is no plain decimal number, or has more decimals than the currency (trailing zeros
            aside): such an amount cannot be money that changed hands.
        """
        match = _AMOUNT.fullmatch(text.strip())
        if match is None:
            raise DataError(f"{text!r} is not a decimal amount.", todo="Write it like 1234.50.")
        sign = match[1] or match[4] or "+"
        decimals = (match[3] or match[5] or "").rstrip("0")
        if len(decimals) > self.exponent:
            raise DataError(
                f"{text!r} has more decimals than {self.code} ({self.exponent}).",
                todo="Give the amount in whole minor units.",
            )
        minor = int(match[2] or "0") * self.scale + int(decimals.ljust(self.exponent, "0") or "0")
        return -minor if sign == "-" else minor

    def decimal(self, minor: int) -> str:
        """Return minor units as a decimal amount without a currency (``1250`` -> ``"12.50"``)."""
        whole, rest = divmod(abs(minor), self.scale)
        sign = "-" if minor < 0 else ""
        return f"{sign}{whole}.{rest:0{self.exponent}d}" if self.exponent else f"{sign}{whole}"

    def text(self, minor: int) -> str:
        """Return minor units with their currency (``1250`` -> ``"12.50 USD"``)."""
        return f"{self.decimal(minor)} {self.code}"

    def unit_price(self, minor: float) -> str:
        """Return a unit price with its currency; one in fractions of a minor unit shows two more decimals."""
        whole = round(minor)
        if abs(minor - whole) < 1e-6 * max(abs(minor), 1.0):
            return self.text(whole)
        return f"{minor / self.scale:.{self.exponent + 2}f} {self.code}"


def apportion(amount: int, weights: Ints) -> Ints:
    """Split an amount pro rata by largest remainder, so that the parts add up to it exactly.

    Parameters
    ----------
    amount
        Minor units to split; may be negative.
    weights
        int64 [L]; not negative, for example what each of L order lines costs, in minor units.

    Returns
    -------
    int64 [L]; minor units. Each part is its exact share rounded down or up; where remainders are equal the
    earlier line gets the unit (Hamilton's method).

    Raises
    ------
    DataError
        If a weight is negative, or there is an amount to split and nothing to split it over.
    """
    exact = [int(w) for w in weights]
    total = sum(exact)
    if any(w < 0 for w in exact) or (amount != 0 and total == 0):
        raise DataError(
            f"An amount of {amount} minor units cannot be split over lines worth {exact}.",
            why="The weights must not be negative and must not all be zero.",
        )
    if amount == 0:
        return np.zeros(len(exact), dtype=np.int64)
    parts = [divmod(abs(amount) * w, total) for w in exact]
    left = abs(amount) - sum(whole for whole, _ in parts)
    first = sorted(range(len(parts)), key=lambda i: (-parts[i][1], i))[:left]
    shares = np.array([whole for whole, _ in parts], dtype=np.int64)
    shares[first] += 1
    return shares if amount > 0 else -shares
