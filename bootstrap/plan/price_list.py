"""Your own prices in place of the list prices of an estimate."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import yaml

from bootstrap.core.errors import UsageError
from bootstrap.plan.prices import AS_OF, PRICES, REGION, Prices

NAMES = tuple(each.name for each in dataclasses.fields(Prices))
FIX = f"name: US dollars, a line each; the names are {', '.join(NAMES)}"


@dataclass(frozen=True)
class PriceList:
    """Prices and their origin."""

    prices: Prices = PRICES
    origin: str = f"list prices of {REGION} as of {AS_OF}; AWS's price pages count"


def read(path: Path) -> PriceList:
    """Read a YAML or JSON file of prices, which replace the list prices of the same names.

    Raises:
        UsageError: the file cannot be read, or holds anything else.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"The price file {path} cannot be read: {error}", fix=FIX) from None
    if not isinstance(value, dict):
        raise UsageError(f"The price file {path} holds no prices.", fix=FIX)
    wrong = [str(name) for name, price in value.items() if not _is_price(name, price)]
    if wrong:
        raise UsageError(
            f"The price file {path} has values that are no prices: {', '.join(wrong)}.", fix=FIX
        )
    given = {str(name): float(price) for name, price in value.items()}
    origin = f"{len(given)} prices of {path}, the others {PriceList.origin}"
    return PriceList(dataclasses.replace(PRICES, **given), origin)


def _is_price(name: object, price: object) -> bool:
    number = isinstance(price, int | float) and not isinstance(price, bool)
    return name in NAMES and number and 0 <= float(str(price)) < float("inf")
