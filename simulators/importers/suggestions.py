"""Which of a shop's own columns is probably which column of the contract; a person confirms it."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from pricing.schema import table

__all__ = ["Suggestion", "normalised", "suggest_columns"]

_EXACT, _NORMALISED, _SYNONYM, _LEAST = 1.0, 0.95, 0.9, 0.75

_NUMBER_WORDS = ("n", "no", "num", "nro", "numero", "number")
"""First words that say no more than "number of": Nº Pedido, Núm. línea."""

_SYNONYMS = {
    "at": "fecha date fecha_stock fecha_recuento fecha_inventario snapshot_date counted_at",
    "amount": "importe descuento discount_amount",
    "brand": "marca manufacturer fabricante vendor",
    "campaign_id": "campaign campana",
    "category": "categoria familia department departamento product_type seccion",
    "channel": "canal sales_channel",
    "coupon_id": "coupon cupon coupon_code codigo_cupon",
    "currency": "moneda divisa currency_code",
    "customer_id": "customer cliente id_cliente client_id cod_cliente codigo_cliente user_id email correo",
    "ends_at": "end_date fecha_fin hasta end",
    "funded_by": "financiado_por",
    "kind": "tipo type",
    "launch_at": "fecha_lanzamiento launch_date fecha_alta",
    "line_id": "line linea line_number numero_linea id_linea line_item_id",
    "list_price": "pvp_recomendado msrp rrp",
    "name": "nombre descripcion description title producto_nombre product_name",
    "offered_price": "precio price unit_price precio_unitario precio_venta selling_price pvp",
    "on_hand": "stock existencias inventory_quantity unidades_stock stock_actual stock_disponible stock_real "
    "unidades_en_stock cantidad_stock disponible disponibles available on_hand_quantity qty_on_hand "
    "stock_quantity stock_level available_quantity quantity_on_hand inventario",
    "order_id": "order pedido id_pedido numero_pedido n_pedido order_number ticket num_ticket factura",
    "ordered_at": "fecha date order_date fecha_pedido created_at fecha_venta datetime timestamp",
    "paid": "total importe total_linea line_total importe_linea amount_paid pagado subtotal",
    "parent_id": "parent modelo style estilo producto_padre",
    "price_basis": "iva_incluido tax_included base_precio",
    "price_group": "grupo_precio",
    "price_list": "tarifa lista_precios pricelist",
    "product_id": "product producto articulo sku id_producto referencia ref codigo_articulo item_id",
    "quantity": "cantidad qty units unidades uds",
    "refund": "reembolso devuelto importe_devuelto refund_amount",
    "regular_price": "precio_original precio_tarifa precio_regular compare_at_price original_price",
    "returned_at": "fecha_devolucion return_date",
    "seller_id": "seller vendedor merchant",
    "starts_at": "start_date fecha_inicio desde start",
    "status": "estado order_status financial_status",
    "subcategory": "subcategoria subfamilia",
    "unit": "unidad unidad_medida uom",
    "unit_cost": "coste costo cost precio_coste coste_unitario cost_price costo_unitario coste_unidad "
    "coste_ud coste_unit coste_neto coste_sin_iva coste_compra coste_de_compra coste_medio precio_compra "
    "p_compra precio_de_compra precio_de_coste cost_per_item net_cost purchase_price buying_price "
    "wholesale_price landed_cost cogs",
    "valid_from": "vigente_desde fecha_desde desde fecha date fecha_coste vigencia fecha_vigencia "
    "fecha_de_vigencia effective_from effective_date valid_since",
    "valid_to": "vigente_hasta fecha_hasta hasta",
    "zone": "zona tienda store region store_id",
}
"""Names in English and Spanish under which shops export a column, normalised."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One guess about one column.

    Attributes
    ----------
    column
        Column of the contract.
    own
        The shop's column.
    score
        1 the same name, 0.95 the same but for case, accents and separators, 0.9 a known synonym, below
        that the similarity of the names (0-1).
    """

    column: str
    own: str
    score: float


def suggest_columns(name: str, header: Sequence[str]) -> tuple[Suggestion, ...]:
    """Guess the column map of one table from its header.

    Parameters
    ----------
    name
        Table of the contract.
    header
        The shop's own column names.

    Returns
    -------
    tuple of Suggestion
        At most one for each column of the contract and each of the shop's, in contract order. Nothing is
        used before a person has confirmed it.
    """
    columns = table(name).names
    scored = [
        Suggestion(column, own, _score(column, own))
        for column in columns
        for own in header
        if _score(column, own) >= _LEAST
    ]
    scored.sort(key=lambda s: (-s.score, columns.index(s.column), list(header).index(s.own)))
    chosen: dict[str, Suggestion] = {}
    taken: set[str] = set()
    for suggestion in scored:
        if suggestion.column not in chosen and suggestion.own not in taken:
            chosen[suggestion.column] = suggestion
            taken.add(suggestion.own)
    return tuple(chosen[column] for column in columns if column in chosen)


def _score(column: str, own: str) -> float:
    if own == column:
        return _EXACT
    plain = normalised(own)
    if plain == column:
        return _NORMALISED
    words = plain.split("_")
    bare = "_".join(words[1:]) if words[0] in _NUMBER_WORDS else plain
    if {plain, bare} & set(_SYNONYMS.get(column, "").split()):
        return _SYNONYM
    return round(min(difflib.SequenceMatcher(None, column, plain).ratio(), 0.89), 2)


def normalised(name: str) -> str:
    """Return a name without case, accents and marks: ``Precio de compra (€)`` is ``precio_de_compra``."""
    bare = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(letter if letter.isalnum() else " " for letter in bare).split()
    return "_".join(words)
