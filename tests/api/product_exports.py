# ruff: noqa: E501 - rows of an export are longer than lines of code
"""Product exports in the real column shapes, by hand: the products are invented, how they are written is not."""

from __future__ import annotations

SHOPIFY = (
    "\ufeffHandle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,Option2 Value,"
    "Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,Variant Taxable,Image Src,"
    "Status,Price / International\r\n"
    'blue-mug,"Blue Mug, large","<p>Holds ""half a litre"".</p>\r\n<ul>\r\n  <li>Dishwasher; yes \U0001f600</li>\n</ul>",'
    'Alfar,Mugs,"mug, blue",TRUE,Size,L,Colour,Blue,MUG-L,410,12,24.90,,true,https://img.example/1.jpg,active,\r\n'
    "blue-mug,,,,,,,,XL,,Blue,MUG-XL,520,3,29.9,39.90,true,,,\r\n"
    "blue-mug,,,,,,,,,,,,,,,,,https://img.example/2.jpg,,\r\n"
    'plate,Plate,"Quote 12"" wide",Alfar,Plates,,TRUE,Title,Default Title,,,\'00123,300,0,"1299.00","0.00",true,,active,\r\n'
    "bowl,Bowl,,Alfar,Bowls,,TRUE,Title,Default Title,,,,200,5,15,15.00,true,,active,\r\n"
    "cup,Cup,,Alfar,Cups,,TRUE,Title,Default Title,,,DUP,200,5,5.00,,true,,active,\r\n"
    "cup-2,Cup again,,Alfar,Cups,,TRUE,Title,Default Title,,,DUP,200,5,6.00,,true,,draft,\r\n"
    "jug,Jug,,Alfar,Jugs,,TRUE,Title,Default Title,,,JUG,200,5,ask us,,true,,active,"
).encode()
"""Byte-order mark, CRLF rows with both line ends inside a description, quotes, an emoji, no line end at the end."""

WOOCOMMERCE = (
    "ID;Tipo;SKU;Nombre;Publicado;Descripción corta;Descripción;Fecha en la que empieza el precio rebajado;"
    "Fecha en la que termina el precio rebajado;Precio rebajado;Precio normal;Superior;Posición\n"
    '101;simple;JAR-1;"Jarra; de barro";1;;"<p>Para 1,5 l. Dice ""olé"".</p>\n<p>Segunda línea 🏺</p>";;;;"29,04";;0\n'
    "102;variable;VAS;Vaso;1;;;;;;;;0\n"
    "103;variation;VAS-R;Vaso - Rojo;1;;;;;9,5;12,90;VAS;1\n"
    "104;variation;;Vaso - Azul;1;;;;;;12,90;VAS;2\n"
    "105;simple;CARO;Vajilla;1;;;2026-01-01;2026-01-31;;1.299,00;;0\n"
    "106;simple;RARO;Resto;1;;;;;15,00;12,00;;0\n"
).encode()
"""Semicolons, decimal commas, thousands with a point, Spanish headings, descriptions of several lines."""
