from __future__ import annotations

import datetime as dt
from pathlib import Path

from simulators.contract.names import group_names
from simulators.contract.tables import open_source
from tests.api.shop import write_shop

PRODUCTS = """product_id,price_group,name,category,kind
p00,,"Aceite de oliva",c0,merchandise
p01,shirt,"Linen shirt, M",c1,merchandise
p02,shirt," Linen  shirt, L",c2,merchandise
p03,tea,Té verde,c0,merchandise
p04,tea,Black tea,c1,merchandise
p05,,,c2,merchandise
p06,,"  ",c0,merchandise
p07,jam,,c1,merchandise
p08,jam,"Jam 1/2",c2,merchandise
"""


def test_a_group_is_called_what_its_products_names_begin_with(tmp_path: Path) -> None:
    folder = write_shop(tmp_path / "shop")
    rest = "".join(f"p{i:02d},,,c0,merchandise\n" for i in range(9, 12))
    (folder / "products.csv").write_text(PRODUCTS + rest, encoding="utf-8")
    with open_source(folder, today=dt.datetime(2025, 1, 1, tzinfo=dt.UTC)) as source:
        assert dict(group_names(source)) == {
            "p00": "Aceite de oliva",
            "shirt": "Linen shirt",
            "tea": "Té verde",
            "jam": "Jam 1/2",
        }
