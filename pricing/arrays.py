"""Array types, named once. Shapes stand in the docstrings of whatever holds them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int8]
Bits = NDArray[np.uint32]
Words = NDArray[np.uint64]
Dates = NDArray[np.datetime64]
