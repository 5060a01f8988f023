from __future__ import annotations

import numpy as np

from api.segments_told import clusters_told, group_told
from api.texts import texts
from simulators.customers.segments import Clusters, Group, Trait


def test_clusters_in_words() -> None:
    traits = ((Trait.WEEKLY, Trait.MOSTLY_REDUCED), (Trait.MONTHLY, Trait.SELDOM_REDUCED, Trait.AWAY))
    found = Clusters(np.array([0, 0, 0, 1]), np.zeros((2, 9)), np.array([3, 1]), traits, 0.5, 1.0)
    assert clusters_told(found, texts("en")) == (
        "75%: buys weekly, mostly on discount",
        "25%: buys monthly, seldom on discount, has stayed away unusually long",
    )
    spanish = clusters_told(found, texts("es"))
    assert spanish[0].endswith(": compra cada semana, casi siempre con descuento")
    assert group_told(Group.NOT_KNOWN, texts("en")) == "nothing known: no consent or no order"
