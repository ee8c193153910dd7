"""The strategy's question and answer for one bar: what crosses the sandbox wall.

The runner's messages are hostile input: unknown members are refused, numbers are decimal strings.
"""

from __future__ import annotations

import msgspec

from inalpha.model.bar import Bar

MAX_INTENTS = 16
MAX_LOGS = 32
MAX_LOG_BYTES = 2048

NUMBER_PATTERN = r"^-?[0-9]{1,12}(\.[0-9]{1,12})?\Z"


class OrderView(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A working or awaiting order as its strategy sees it. Prices in ticks, quantities in lots.

    leg: stop_loss or take_profit of a bracket, else "". Defaults are not written: many orders share a frame.
    """

    id: str
    side: str
    type: str
    quantity: int
    filled: int
    limit: int | None
    stop: int | None
    tif: str
    state: str
    reason: str = ""
    reduce_only: bool = False
    leg: str = ""


class OrderEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happened to an order. kind: accepted, denied, filled, cancelled, expired, rejected, pending.

    time_ns: market time; quantity in lots; price in ticks; fee in 1e-8 units.
    """

    kind: str
    order: str
    time_ns: int
    quantity: int = 0
    price: int | None = None
    fee: int = 0
    code: str = ""
    reason: str = ""


class StepRequest(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One bar for one run; as JSON the bar is [open_ns, close_ns, open, high, low, close, volume_e8, ...].

    position: [quantity in lots (signed), total cost e8 (signed)]; account: [cash e8, equity e8].
    orders: every order that is working or awaits approval, by order number.
    """

    seq: int
    now: int
    events: tuple[OrderEvent, ...]
    bar: Bar
    position: tuple[int, int]
    account: tuple[int, int]
    orders: tuple[OrderView, ...]


class Intent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One ask of the strategy. action: "order" or "cancel". Numbers: decimal strings or null.

    n: position in the bar's list, 0-based over orders and cancels alike; `<bar>:<n>` becomes the
    order's id. cancel: that id. type: market, limit, stop, stop_limit. expires: ns or null.
    """

    n: int
    action: str
    side: str | None = None
    quantity: str | None = None
    limit: str | None = None
    stop: str | None = None
    type: str | None = None
    tif: str = "GTC"
    expires: int | None = None
    reduce_only: bool = False
    stop_loss: str | None = None
    take_profit: str | None = None
    reason: str = ""
    cancel: str | None = None


class StepReply(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The strategy's answer. error: "" or `Type: text (line N)`; an error empties the bar's intents.

    dropped: bytes of its words that the run does not keep, never from the runner; not written where there are none.
    """

    seq: int
    intents: tuple[Intent, ...] = ()
    logs: tuple[str, ...] = ()
    error: str = ""
    dropped: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def dropped_bytes(self) -> int:
        return 0 if isinstance(self.dropped, msgspec.UnsetType) else self.dropped
