"""Icons as path data on a 16 by 16 grid, drawn as lines."""

from __future__ import annotations

ICONS = {
    "home": "M2 7.6 8 2.6l6 5M4 6.4V13h8V6.4",
    "positions": "M2.5 13.5h11M4.5 11V8M8 11V3M11.5 11V5.5",
    "orders": "M3 3.5h10v9H3zM5.5 6.5h5M5.5 9.5h3",
    "decisions": "M2.5 4h7M2.5 8h4M2.5 12h3M8.5 11l2 2 3.5-4.5",
    "commands": "M3 4.5 6.5 8 3 11.5M8 12h5",
    "quality": "M2.5 11.5a5.5 5.5 0 1 1 11 0M8 11.5l2.5-3.5",
    "books": "M8 4C6.5 3 4.5 2.8 2.5 3v9.5c2-.2 4 0 5.5 1 1.5-1 3.5-1.2 5.5-1V3c-2-.2-4 0-5.5 1zM8 4v9.5",
    "shop": "M2.5 6.5 4 3h8l1.5 3.5zM3.5 6.5V13h9V6.5M6.5 13V9.5h3V13",
    "follow": "M3 8h3.5M6.5 8l5-4M6.5 8H12M6.5 8l5 4",
    "chart": "M2.5 13.5v-11M2.5 13.5h11M4.5 10.5 7.5 7l2 2 4-5",
    "trades": "M3 5.5h9M9.5 3 12 5.5 9.5 8M13 10.5H4M6.5 8 4 10.5 6.5 13",
    "account": "M2.5 4.5h11v8h-11zM2.5 7.5h11M5 10h2",
    "person": "M8 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5M3 13.5c.6-2.6 2.6-3.8 5-3.8s4.4 1.2 5 3.8",
    "staff": "M2.5 3.5h11v9h-11zM5 6.5 7 8 5 9.5M8.5 10h2.5",
    "theme": "M8 2.5a5.5 5.5 0 1 0 0 11zM8 2.5a5.5 5.5 0 0 1 0 11",
    "more": "M3.5 8h.01M8 8h.01M12.5 8h.01",
    "leave": "M9.5 3h-6v10h6M7 8h6.5M11 5.5 13.5 8 11 10.5",
    "empty": "M3 5.5 8 3l5 2.5v5L8 13l-5-2.5zM3 5.5 8 8l5-2.5M8 8v5",
    "warning": "M8 2.5 14 13H2zM8 6.5v3M8 11.2h.01",
}
