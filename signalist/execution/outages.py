"""Exits that an outage made old: what a strategy said, and nobody looked at while its time passed.

Nothing old is traded unasked (EXE-04, CON-45): each follower has chosen what is done about what an outage missed, and an exit that was said
right before it is no other. A run that nobody made in time is a gap (`strategies.gaps`, `missed`); this is about those whose signal was
written already. What a person, or a rule of ours, has commanded is carried out whatever its age, and so is an exit that was decided: its
position is being closed, and nothing protects it any more.
"""

from __future__ import annotations

from datetime import datetime

from signalist.accounts.models import AccountState
from signalist.domain.lateness import exit_lasts
from signalist.domain.rules import Numbers
from signalist.domain.timeframes import timeframe
from signalist.events.outbox import HIGH, Fact, emit
from signalist.risk.actions import Where, switch
from signalist.trading.models import AfterOutage, Execution

WHO = "the engine, after an outage"
RULE = "outage"


def is_old(execution: Execution, now: datetime) -> bool:
    """Whether a strategy's exit comes to be decided so late that there was an outage. One that was looked at in time and had to wait, for
    the end of a halt or for what an entry fills, is not."""
    signal = execution.signal
    if signal is None or execution.not_before is not None:
        return False
    return now - signal.candle_close > exit_lasts(timeframe(signal.schedule.timeframe))


def hold(execution: Execution, now: datetime) -> Numbers | None:
    """What the record says of an old exit that is not carried out; None where the follower has it carried out all the same. Who wants to
    be asked takes no entries until they have looked. Either way it is theirs to close what is held, so it is an alarm. The account is
    locked."""
    signal, subscription = execution.signal, execution.subscription
    assert signal is not None
    if subscription.after_outage == AfterOutage.CLOSE:
        return None
    asks = subscription.after_outage == AfterOutage.ASK
    if asks:
        reason = f"the strategy's exit of {signal.candle_close:%Y-%m-%d %H:%M} UTC was missed in an outage; resume when you have looked"
        switch(Where.of_subscription(subscription), AccountState.REDUCING, reason, now, who=WHO, only_stricter=True)
    said = signal.candle_close.isoformat()
    payload = {"subscription": subscription.pk, "candles": 0, "entries": 0, "choice": subscription.after_outage}
    payload |= {"since": said, "until": said, "exit": True, "held": True, "closed": False, "asked": asks}
    emit([Fact("signals_missed", execution.tenant_id, now, payload | {"severity": HIGH})])
    late = (now - signal.candle_close).total_seconds()
    return {"seconds": f"{late:.0f}", "choice": subscription.after_outage}
