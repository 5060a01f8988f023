"""The invented shop of the walk as WooCommerce exports it, on a Spanish site that types prices with tax.

Orders as the plugin Advanced Order Export writes them with the ticks of docs/imports.md; products as
*Productos > Exportar* does: decimal commas, byte order mark, descriptions of two lines, a variable product
whose two sizes have no SKU of their own. Every 40th order brings a unit back, every 25th a coupon of 10 %.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from tests.api.walk_shop import SMALL, WEEKS, Size, day_of, price_in, sales, table_of, write_promotions

_ORDERS = """
Order_Number Order_Status Order_Date Customer_Note First_Name_(Billing) Last_Name_(Billing)
Country_Code_(Billing) Email_(Billing) Phone_(Billing) Payment_Method_Title Cart_Discount_Amount
Cart_Discount_Amount_Tax Order_Subtotal_Amount Order_Shipping_Amount Order_Shipping_Tax_Amount
Order_Refund_Amount
Order_Total_Amount
Order_Total_Tax_Amount Order_Total_Fee Currency Modification_Date Date_of_first_refund Coupon_Code SKU Item_#
Item_Name Product_Id Variation_Id Quantity Quantity_(-_Refund) Item_Cost Order_Line_Subtotal
Order_Line_Subtotal_Tax Order_Line_Total Order_Line_Tax Order_Line_Total_Refunded Order_Line_Tax_Refunded
"""
_LISTED = """
ID Tipo SKU GTIN,_UPC,_EAN_o_ISBN Nombre Publicado ¿Está_destacado? Visibilidad_en_el_catálogo
Descripción_corta Descripción Día_en_que_empieza_el_precio_rebajado
Día_en_que_termina_el_precio_rebajado Estado_del_impuesto
Clase_de_impuesto ¿Existencias? Inventario Cantidad_de_bajo_inventario
¿Permitir_reservas_de_productos_agotados?
¿Vendido_individualmente? Peso_(kg) Longitud_(cm) Anchura_(cm) Altura_(cm) ¿Permitir_valoraciones_de_clientes?
Nota_de_compra Precio_rebajado Precio_normal Categorías Etiquetas Clase_de_envío Imágenes Límite_de_descargas
Días_de_caducidad_de_la_descarga Superior Productos_agrupados Ventas_dirigidas Ventas_cruzadas URL_externa
Texto_del_botón Posición Marcas Nombre_del_atributo_1 Valor(es)_del_atributo_1 Atributo_visible_1
Atributo_global_1 Meta:__wc_cog_cost
"""
SIZES = {10: "S", 11: "L"}
"""Of the variable product, by the number of the invented product."""


def write_woo_walk(folder: Path, size: Size = SMALL) -> Path:
    """Write orders.csv, wc-product-export.csv and promotions.csv."""
    folder.mkdir(parents=True)
    orders = [_order(number, *sale) for number, sale in enumerate(sales(size), 1001)]
    (folder / "orders.csv").write_text(table_of(_ORDERS, orders), encoding="utf-8-sig")
    listed = table_of(_LISTED, [_simple(p) for p in range(size.products) if p not in SIZES] + _sizes())
    (folder / "wc-product-export.csv").write_text(
        listed.replace("Meta:  wc cog cost", "Meta: _wc_cog_cost"), encoding="utf-8-sig", newline=""
    )
    skus = [f"CAM:{SIZES[p]}" if p in SIZES else f"P{p:02d}" for p in range(size.products)]
    write_promotions(folder, skus, size.weeks)
    return folder


def _cents(amount: int) -> str:
    return f"{amount / 100:.2f}"


def _net(gross: int) -> int:
    return round(gross / 1.21)


def _order(number: int, week: int, day: int, product: int, units: int) -> Mapping[str, object]:
    price = round(100 * price_in(product, week))
    shelf = price * units
    paid = shelf - round(0.1 * shelf) if number % 25 == 0 else shelf
    back = round(paid / units) if number % 40 == 0 else 0
    at = dt.datetime.combine(day_of(week) + dt.timedelta(days=day), dt.time(12))
    size = SIZES.get(product)
    return {
        "Order Number": number, "Order Status": "Completado", "Order Date": f"{at:%Y-%m-%d %H:%M}",
        "Customer Note": "Llamar antes", "First Name (Billing)": "Lucía", "Country Code (Billing)": "ES",
        "Email (Billing)": f"Cliente{number % 700}@example.com", "Currency": "EUR",
        "Modification Date": f"{at:%Y-%m-%d %H:%M}", "Cart Discount Amount": _cents(_net(shelf) - _net(paid)),
        "Cart Discount Amount Tax": _cents(shelf - _net(shelf) - paid + _net(paid)),
        "Order Subtotal Amount": _cents(_net(shelf)), "Order Shipping Amount": "0.00",
        "Order Shipping Tax Amount": "0.00", "Order Refund Amount": _cents(back), "Order Total Fee": "0.00",
        "Order Total Amount": _cents(paid), "Order Total Tax Amount": _cents(paid - _net(paid)),
        "Date of first refund": f"{at + dt.timedelta(days=3):%Y-%m-%d %H:%M}" if back else "",
        "Coupon Code": "" if paid == shelf else "vuelve10", "SKU": "CAM" if size else f"P{product:02d}",
        "Item #": 1, "Item Name": f"Camiseta - {size}" if size else f"Producto {product}",
        "Product Id": 90 if size else 100 + product, "Variation Id": 100 + product if size else 0,
        "Quantity": units, "Quantity (- Refund)": units - (back > 0),
        "Item Cost": f"{paid / units / 121:.6f}", "Order Line Subtotal": _cents(_net(shelf)),
        "Order Line Subtotal Tax": _cents(shelf - _net(shelf)), "Order Line Total": _cents(_net(paid)),
        "Order Line Tax": _cents(paid - _net(paid)), "Order Line Total Refunded": _cents(_net(back)),
        "Order Line Tax Refunded": _cents(back - _net(back)),
    }  # fmt: skip


def _row(product: int, name: str) -> dict[str, object]:
    return {
        "ID": 100 + product, "Nombre": name, "Publicado": 1, "¿Está destacado?": 0,
        "Visibilidad en el catálogo": "visible",
        "Descripción": '<p>De «barro»,\ndice "olé"; hecho a mano</p>',
        "Estado del impuesto": "taxable", "¿Existencias?": 1, "Inventario": 500,
        "¿Permitir reservas de productos agotados?": 0, "Posición": 0,
    }  # fmt: skip


def _priced(product: int) -> dict[str, object]:
    price = f"{price_in(product, WEEKS - 1):.2f}".replace(".", ",")
    return {"Precio normal": price, "Meta:  wc cog cost": f"{4.0 + 0.7 * (product % 60):.2f}"}


def _simple(product: int) -> dict[str, object]:
    own = {"Tipo": "simple", "SKU": f"P{product:02d}", "Categorías": f"Clase {product % 3}"}
    return _row(product, f"Producto {product}") | _priced(product) | own


def _sizes() -> list[Mapping[str, object]]:
    parent = {"ID": 90, "Tipo": "variable", "SKU": "CAM", "Categorías": "Ropa", "Inventario": ""}
    option = {"Nombre del atributo 1": "Talla", "Atributo global 1": 1}
    rows: list[Mapping[str, object]] = [
        _row(0, "Camiseta") | parent | option | {"Valor(es) del atributo 1": "S, L"}
    ]
    for product, size in SIZES.items():
        own = {"Tipo": "variation", "Superior": "CAM", "Valor(es) del atributo 1": size}
        rows.append(_row(product, f"Camiseta - {size}") | _priced(product) | option | own)
    return rows
