"""The rows of the money path: who follows what, each decision, its orders and fills, and what is folded from the fills.

Foreign keys that no query starts from have no index of their own (db_index=False): every index is paid for at every write.
Fills are an append-only ledger; positions, trades and daily results are projections of it (`manage.py rebuild --check`).
"""

from __future__ import annotations

from signalist.trading.discrepancies import AccountLook, Discrepancy, ForeignFill
from signalist.trading.models.common import ACTIVE_ORDER, ORDER_TURN, ORDER_WAITS, STILL_ACTIVE
from signalist.trading.models.decisions import Execution, ExecutionStatus, Instruction, InstructionKind
from signalist.trading.models.fills import ExitType, Fill, Trade
from signalist.trading.models.money import AccountBalance, AccountDay, DailyResult, EquityPoint, Reservation
from signalist.trading.models.orders import AttemptAction, Order, OrderAttempt
from signalist.trading.models.positions import Position, StopMove
from signalist.trading.models.signal_records import SignalRecord
from signalist.trading.models.subscriptions import AfterOutage, Following, Subscription, SubscriptionStatus

__all__ = [
    "ACTIVE_ORDER",
    "ORDER_TURN",
    "ORDER_WAITS",
    "STILL_ACTIVE",
    "AccountBalance",
    "AccountDay",
    "AccountLook",
    "AfterOutage",
    "AttemptAction",
    "DailyResult",
    "Discrepancy",
    "EquityPoint",
    "Execution",
    "ExecutionStatus",
    "ExitType",
    "Fill",
    "Following",
    "ForeignFill",
    "Instruction",
    "InstructionKind",
    "Order",
    "OrderAttempt",
    "Position",
    "Reservation",
    "SignalRecord",
    "StopMove",
    "Subscription",
    "SubscriptionStatus",
    "Trade",
]
