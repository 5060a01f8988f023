"""What may never be a feature of a customer: protected attributes and near proxies of them.

A shop may still hand them over, declared in its shop file, so that the fairness report can say who was
offered what. Matching is by the column's name, in English and Spanish, and errs towards refusing.

Grounds: EU Charter of Fundamental Rights art. 21, GDPR art. 9(1), Directives 2000/43/EC and 2004/113/EC;
Spain's Ley 15/2022 art. 2, which adds language and socio-economic situation; US ECOA, 15 USC 1691 (marital
status, age, public assistance). A proxy is what tells one of them nearly as well as itself.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

from pricing.errors import RefusedError

__all__ = ["PROTECTED", "ProtectedAttribute", "protected_as", "refuse_protected"]


@dataclass(frozen=True, slots=True)
class ProtectedAttribute:
    """One protected ground and the names by which columns carry it.

    Attributes
    ----------
    ground
        What is protected.
    words
        Words of a column's name, without accents and in lower case; two words joined by a space must stand
        side by side.
    stems
        Beginnings of such words.
    """

    ground: str
    words: tuple[str, ...]
    stems: tuple[str, ...]


def _ground(ground: str, words: str, stems: str) -> ProtectedAttribute:
    """Split words at blanks; an underscore joins two that must stand side by side."""
    return ProtectedAttribute(ground, tuple(w.replace("_", " ") for w in words.split()), tuple(stems.split()))


PROTECTED = (
    _ground(
        "age",
        "age ages dob edad year_of ano_nacimiento senior",
        "birth born nacim agegroup ageband agerange",
    ),
    _ground(
        "sex or gender",
        "sex sexo male female salutation mr mrs tratamiento",
        "gender genero pronoun transgen",
    ),
    _ground(
        "pregnancy and family",
        "civil_status estado_civil kids children hijos household_comp household_size family_size familia",
        "pregnan embaraz marital married spouse child kid matern patern",
    ),
    _ground(
        "ethnic origin",
        "race raza origin origen skin color_piel caste roma gitano",
        "ethnic etni racial migra tribe",
    ),
    _ground(
        "nationality",
        "passport country pais country_of",
        "national nacional citizen ciudadan",
    ),
    _ground(
        "language",
        "lang locale idioma lengua",
        "languag",
    ),
    _ground(
        "religion or belief",
        "faith fe church iglesia kosher halal creed",
        "relig belief creenc muslim musulm christian cristian jewish judi catol cathol",
    ),
    _ground(
        "political opinion",
        "party_member vote voto partido",
        "politic elector ideolog",
    ),
    _ground(
        "membership of a trade union",
        "union",
        "sindic unionis",
    ),
    _ground(
        "health",
        "bmi imc blood sick salud hiv vih",
        "health medic diagnos disease enferm illness allerg alerg diabet cancer prescript farmac pharmac",
    ),
    _ground(
        "disability",
        "wheelchair minusvalia",
        "disab discapac handicap",
    ),
    _ground(
        "sexual orientation",
        "gay orientation orientacion lgbt lgbtq lgtbi",
        "sexual lesbian homosex bisex queer",
    ),
    _ground(
        "genetic or biometric data",
        "dna adn face_id huella",
        "genet biometr fingerprint facial retina genom",
    ),
    _ground(
        "socio-economic situation",
        "income wage wages ingresos renta salary salario wealth home_ownership home_owner housing vivienda "
        "credit_score",
        "welfare unemploy desemple homeowner occupation profesion educat",
    ),
    _ground(
        "where somebody lives, a near proxy of origin",
        "zip zipcode cp address direccion domicilio barrio lat lon lng ip city ciudad town "
        "municipio street calle census_tract",
        "postcode postal neighbo latitud longitud geohash distrit geoloc",
    ),
    _ground(
        "a name, a near proxy of sex and origin",
        "name names nombre forename firstname lastname fullname",
        "surnam apellid",
    ),
    _ground(
        "a criminal record",
        "felony arrest antecedentes",
        "criminal convict",
    ),
)
"""Every ground, in the order in which a name is tried."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BREAK = re.compile(r"[^a-z]+")


def protected_as(name: str) -> str | None:
    """Return the protected ground that a column's name stands for, None where it is none.

    Capitals, accents, digits, separators and camelCase make no difference.
    """
    spread = unicodedata.normalize("NFKD", _HUMP.sub(" ", name))
    plain = "".join(letter for letter in spread if not unicodedata.combining(letter)).casefold()
    words = [word for word in _BREAK.split(plain) if word]
    known = {*words, *map(" ".join, pairwise(words)), "".join(words)}
    for entry in PROTECTED:
        if known & set(entry.words) or any(word.startswith(entry.stems) for word in known):
            return entry.ground
    return None


def refuse_protected(name: str) -> None:
    """Raise :class:`pricing.errors.RefusedError` if a column of this name may never be a feature."""
    ground = protected_as(name)
    if ground is not None:
        raise RefusedError(
            f"{name} may not be a feature of a customer: it tells {ground}.",
            why="No offer may rest on a protected attribute or on a near proxy of one.",
            todo="Leave it out. Declared under [attributes] in shop.toml it is read for the fairness report "
            "alone, which says who was offered what.",
        )
