"""Stories whose every statement other tests send, too: tried on SQLite in `make test`, and on PostgreSQL with them in `make soak`.

Found by noting the text of each statement of each test, without its values: what is left out here on PostgreSQL asks it nothing that the
tests named here, the others of `tests/flows`, `tests/pages`, `tests/risk` and `tests/trading` or the walk over all addresses
(`tests/isolation`) do not ask. What is about locks, deaths, roles or the order of lists stays on both. A test that sends a new statement
is named here.
"""

from __future__ import annotations

TRIED_ON_BOTH: dict[str, tuple[str, ...]] = {
    "tests/flows/test_answered_cancels.py": ("test_a_stop_that_was_filled_is_not_called_cancelled",),
    "tests/flows/test_answers.py": (
        "test_a_cancel_means_the_order_whatever_is_left_of_it",
        "test_a_close_is_adopted_where_dust_lies_in_the_market",
        "test_a_price_is_not_measured_by_one_that_is_old",
        "test_the_money_of_some_accounts_is_reckoned_without_reading_the_trades_of_others",
        "test_what_was_kept_as_more_is_not_kept_when_it_has_become_less",
    ),
    "tests/flows/test_cooldown.py": ("test_an_entry_is_denied_within_the_pause_and_taken_after_it",),
    "tests/flows/test_decisions.py": (
        "test_a_market_that_takes_no_entries_now_gets_none_and_exits_go_all_the_same",
        "test_a_repeated_fan_out_adds_nothing",
        "test_an_entry_that_was_decided_and_not_sent_in_time_expires",
        "test_it_denies_a_leverage_that_the_venue_has_withdrawn",
        "test_it_denies_when_the_account_holds_another_currency",
        "test_it_denies_where_no_pair_joins_the_two_instruments_any_more",
        "test_it_denies_where_there_is_no_price_at_all",
        "test_money_is_reserved_while_an_entry_is_under_way_and_not_longer",
        "test_one_who_subscribed_after_the_close_has_no_part_in_its_signal",
        "test_terms_that_cannot_be_deny_their_own_entry_and_nobody_else_s",
    ),
    "tests/flows/test_differences.py": (
        "test_a_lack_of_money_stops_entries_on_the_whole_account_until_it_is_taken_in",
        "test_a_position_that_somebody_closed_is_a_manual_close_with_the_venues_price",
        "test_a_stop_that_the_venue_has_lost_is_replaced_and_said",
        "test_books_that_agree_open_nothing_however_often_they_are_looked_at",
    ),
    "tests/flows/test_doubt.py": (
        "test_a_venue_that_is_too_slow_is_not_waited_for",
        "test_each_request_is_recorded_with_its_answer",
    ),
    "tests/flows/test_exits.py": (
        "test_a_bar_that_reaches_stop_and_target_ends_the_position_once_at_the_stop",
        "test_a_command_to_close_is_carried_out_once_however_often_it_is_given",
        "test_a_position_that_cannot_be_closed_halts_its_account_and_stays_protected",
        "test_a_reducing_account_obeys_its_owners_command",
        "test_a_second_exit_while_the_first_lingers_is_skipped",
        "test_to_flatten_an_account_without_positions_does_nothing",
    ),
    "tests/flows/test_failing_stops.py": ("test_an_engine_that_dies_over_a_bare_position_leaves_it_to_the_next",),
    "tests/flows/test_hard_endings.py": (
        "test_a_lost_entry_that_is_given_up_gives_its_money_back",
        "test_a_stop_that_is_lost_after_it_filled_in_part_is_over_and_ends_no_engine",
        "test_what_an_entry_fills_after_everything_was_to_be_closed_is_closed_too",
    ),
    "tests/flows/test_long_doubt.py": ("test_an_exit_whose_position_is_gone_is_not_repeated_and_asks",),
    "tests/flows/test_misfits.py": ("test_it_is_booked_when_the_venue_comes_to_its_senses",),
    "tests/flows/test_nameless.py": (
        "test_a_claim_asks_the_same_number_of_questions_for_one_order_and_for_many",
        "test_a_fill_that_is_told_before_the_answer_is_written_waits_for_it",
        "test_a_stop_that_the_market_reaches_is_booked_by_the_venues_own_id",
        "test_a_stop_that_vanished_while_no_engine_ran_is_replaced",
        "test_an_engine_that_dies_between_sending_and_the_answer_leaves_an_order_that_the_next_one_finds",
        "test_an_order_from_long_after_the_attempt_is_not_ours",
        "test_of_two_resting_candidates_the_one_that_is_left_is_ours_after_a_person_took_the_other_down",
    ),
    "tests/flows/test_one_exit.py": ("test_an_exit_over_a_stop_that_does_not_cancel_asks_what_is_there_and_says_so",),
    "tests/flows/test_orders_by_hand.py": (
        "test_a_flattened_account_holds_nothing_and_takes_nothing_new",
        "test_a_stop_is_moved_in_place",
        "test_a_target_is_moved_or_taken_away",
        "test_an_account_that_is_reducing_opens_nothing",
        "test_an_entry_that_the_venue_will_not_change_stays_as_it_is",
        "test_an_order_that_rests_is_taken_back_and_its_money_is_free_again",
        "test_everything_of_an_account_is_closed_and_its_strategies_go_on",
        "test_the_same_order_given_twice_is_one",
        "test_what_is_filled_counts_towards_the_changed_quantity",
    ),
    "tests/flows/test_protection.py": (
        "test_a_fill_of_an_order_that_is_not_ours_is_a_difference_and_stops_nobody_from_leaving",
        "test_a_fill_that_closes_more_than_is_open_halts_the_account_and_is_kept",
        "test_a_fill_that_is_reported_twice_counts_once",
        "test_a_position_is_one_per_subscription_however_often_it_is_filled",
    ),
    "tests/flows/test_protection_plans.py": (
        "test_a_position_is_closed_when_it_has_lived_its_minutes",
        "test_every_move_of_a_stop_is_told_and_kept",
        "test_the_fee_that_the_venue_lists_is_reserved_and_stands_in_the_stop_at_the_entry",
        "test_without_a_plan_nothing_is_watched",
    ),
    "tests/flows/test_software_stops.py": (
        "test_a_halted_account_keeps_its_watched_stop",
        "test_it_is_sent_once_however_often_it_is_looked_at",
        "test_the_candle_that_closed_last_is_the_second_source",
    ),
    "tests/flows/test_stock.py": (
        "test_coins_that_the_person_buys_and_sells_beside_us_pause_nothing_and_are_counted_as_theirs",
    ),
    "tests/flows/test_turned_up.py": (
        "test_one_that_was_replaced_meanwhile_is_taken_down",
        "test_one_whose_position_is_closed_by_then_goes",
    ),
    "tests/flows/test_waiting.py": (
        "test_of_exits_that_a_strategy_repeats_one_waits",
        "test_positions_whose_stop_is_in_doubt_keep_no_other_from_being_protected",
    ),
    "tests/pages/test_admin.py": (
        "test_a_clerk_takes_over_no_account_and_a_superuser_sets_two_things_with_a_proof",
        "test_every_registered_list_opens",
        "test_jobs_are_read_and_a_superuser_alone_has_a_failed_one_run_again",
    ),
    "tests/pages/test_authored.py": ("test_how_real_accounts_were_filled_is_told_apart_from_paper",),
    "tests/pages/test_closing.py": (
        "test_a_second_click_is_the_same_command",
        "test_a_trader_closes_a_position_at_market",
    ),
    "tests/pages/test_first_look.py": ("test_an_emergency_exit_stands_on_the_page_of_its_account",),
    "tests/pages/test_health.py": (
        "test_a_position_without_a_working_stop_is_unprotected_after_a_moment",
        "test_an_engine_that_ended_or_fell_silent_is_offline_and_says_since_when",
        "test_what_is_still_held_needs_its_price_after_its_subscription_has_ended",
    ),
    "tests/pages/test_landing.py": ("test_the_counts_are_those_of_this_installation",),
    "tests/pages/test_log_in.py": (
        "test_a_forgotten_password_is_replaced_by_a_link_that_works_once",
        "test_a_newcomer_gets_a_workspace_and_a_funded_paper_account",
        "test_a_weak_password_is_refused_beside_its_field",
        "test_a_wrong_password_is_said_without_telling_whether_the_address_exists",
        "test_after_too_many_tries_even_the_right_password_waits",
        "test_behind_a_proxy_visitors_are_told_apart_by_the_address_that_it_adds",
        "test_logging_out_takes_a_click_and_ends_the_session",
        "test_two_newcomers_get_a_workspace_each",
    ),
    "tests/pages/test_order_changes.py": (
        "test_a_position_gets_the_stop_that_it_has_not",
        "test_an_account_is_flattened_and_its_subscriptions_are_paused",
        "test_only_what_a_subscription_holds_is_closed",
    ),
    "tests/pages/test_protection_page.py": ("test_the_plan_and_every_move_of_the_stop_stand_there",),
    "tests/pages/test_shell.py": (
        "test_a_membership_that_ended_opens_nothing",
        "test_the_profile_is_changed_by_its_owner",
    ),
    "tests/pages/test_step_up.py": (
        "test_a_large_order_is_made_smaller_without_the_password",
        "test_a_small_change_wants_none_and_is_bound_by_the_threshold",
        "test_a_small_order_is_not_made_large_without_the_password",
        "test_the_same_form_again_comes_to_the_same_command_however_the_market_stands",
        "test_what_grows_past_the_threshold_before_it_is_decided_is_denied",
    ),
    "tests/pages/test_stop.py": (
        "test_a_trader_halts_the_workspace_and_resumes_it",
        "test_closing_what_is_open_is_an_option",
        "test_what_the_operator_stopped_is_not_the_workspaces_to_resume",
    ),
    "tests/pages/test_subscribe.py": (
        "test_a_preview_writes_nothing_and_reserves_nothing",
        "test_an_account_with_real_money_cannot_be_chosen_yet",
        "test_limits_are_shown_as_they_would_stand_after_the_trade",
        "test_the_form_costs_the_same_however_many_accounts_and_positions_there_are",
    ),
    "tests/pages/test_tickets.py": (
        "test_the_preview_is_the_decision_that_follows",
        "test_what_is_typed_between_thousands_and_percents_is_understood",
    ),
}
"""By file: those of its tests that are tried on both databases each time."""


def is_one(node: str) -> bool:
    """Whether the test of this id tells PostgreSQL nothing new."""
    file, _, test = node.partition("::")
    return file in TRIED_ON_BOTH and test.partition("[")[0] not in TRIED_ON_BOTH[file]
