"""What the gateway refuses before an order reaches a market, with its numbers and words."""

from dataclasses import dataclass
from decimal import Decimal

from gateway_simulator.clock import parse_date_time
from gateway_simulator.error_codes import Code
from gateway_simulator.listings import Listing
from gateway_simulator.order_request import OrderRequest
from gateway_simulator.orders import KINDS, LIMITED, STOPPED, TIMES


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error about an order: its number and text."""

    code: int
    text: str


def refuse(code: Code, **parts: object) -> Refusal:
    return Refusal(code.number, code.text(**parts))


def find_refusal(request: OrderRequest, listing: Listing, accounts: list[str]) -> Refusal | None:
    """Return why an order is not taken, or None where it is in order."""
    for check in (_account, _action, _size, _kind, _prices):
        refusal = check(request, listing, accounts)
        if refusal is not None:
            return refusal
    return None


def _account(request: OrderRequest, _: Listing, accounts: list[str]) -> Refusal | None:
    account = request.text("account")
    if account and account not in accounts:
        return refuse(Code.VALIDATING, request="bW", reason=f"Invalid account code '{account}'.")
    return None


def _action(request: OrderRequest, listing: Listing, _: list[str]) -> Refusal | None:
    if request.text("action").upper() not in ("BUY", "SELL", "SSHORT"):
        return refuse(Code.VALIDATING, request="bW", reason="Order side is missing or invalid.")
    if not listing.is_tradable:
        return refuse(Code.REJECTED, reason="An index cannot be traded.")
    return None


def _size(request: OrderRequest, listing: Listing, _: list[str]) -> Refusal | None:
    quantity = request.number("totalQuantity") or Decimal(0)
    if quantity <= 0:
        return refuse(Code.SIZE_ZERO)
    if quantity % listing.size_step:
        return refuse(Code.FRACTION)
    return None


def _kind(request: OrderRequest, listing: Listing, _: list[str]) -> Refusal | None:
    kind, tif = request.text("orderType").upper(), request.text("tif").upper() or "DAY"
    if kind not in KINDS:
        return refuse(Code.ORDER_TYPE)
    auction = tif == "OPG" or kind in ("MOC", "LOC")
    if auction and listing.sec_type in ("CASH", "CRYPTO"):
        return refuse(Code.ORDER_TYPE)
    if tif not in TIMES or (tif == "OPG" and kind not in ("MKT", "LMT")):
        return refuse(Code.TIME_IN_FORCE)
    return _until(request) if tif == "GTD" else None


def _until(request: OrderRequest) -> Refusal | None:
    """Refuse an order that is good until no moment, or until one that cannot be read."""
    text = request.text("goodTillDate")
    try:
        known = bool(text) and parse_date_time(text, 0) > 0
    except ValueError:
        known = False
    reason = f"The good-till date {text!r} cannot be read."
    return None if known else refuse(Code.VALIDATING, request="bW", reason=reason)


def _prices(request: OrderRequest, listing: Listing, _: list[str]) -> Refusal | None:
    kind = request.text("orderType").upper()
    needed = [("lmtPrice", LIMITED, "limit"), ("auxPrice", STOPPED, "stop")]
    for name, kinds, word in needed:
        if kind not in kinds:
            continue
        price = request.number(name)
        if price is None or price <= 0:
            return refuse(
                Code.VALIDATING, request="bW", reason=f"A positive {word} price must be given."
            )
        if price % listing.min_tick:
            return refuse(Code.PRICE_STEP)
    return None
