//! The table of faults: what is injected, what is promised, and which tests hold it. `docs/faults.md` is made from it.
//!
//! **Invariant:** every test that is named exists, every test of these files is named by its row, and the page says
//! what the table says (`UPDATE_DOCS=1` rewrites it).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// One row of faults.
struct Row {
    /// Its number in the table of faults.
    number: u32,
    fault: &'static str,
    injected: &'static str,
    expected: &'static str,
    held: &'static [Held],
    /// What is not held: no test shows it, or it is not so.
    follows: &'static str,
}

/// A test, by its file from the workspace's root on.
struct Held {
    file: &'static str,
    test: &'static str,
}

const fn at(file: &'static str, test: &'static str) -> Held {
    Held { file, test }
}

const CONNECT: &str = "crates/tollgate/tests/faults/connect.rs";
const REPLIES: &str = "crates/tollgate/tests/faults/replies.rs";
const STREAMS: &str = "crates/tollgate/tests/faults/streams.rs";
const CALLERS: &str = "crates/tollgate/tests/faults/callers.rs";
const HEDGES: &str = "crates/tollgate/tests/faults/hedges.rs";
const PRESSURE: &str = "crates/tollgate/tests/faults/pressure.rs";
const VITALS: &str = "crates/server/src/vitals.rs";
const TIDY: &str = "crates/tollgate/tests/tidy/main.rs";
const RESOLVE: &str = "crates/upstream/src/resolve.rs";
const GUARD: &str = "crates/upstream/tests/upstream/guard.rs";
const TLS: &str = "crates/upstream/tests/upstream/tls.rs";
const IDLE: &str = "crates/upstream/tests/upstream/idle_race.rs";
const CONNECTING: &str = "crates/upstream/tests/upstream/connecting.rs";
const FRAMING: &str = "crates/upstream/tests/upstream/framing.rs";
const HEAD: &str = "crates/upstream/tests/upstream/head.rs";
const BODY: &str = "crates/upstream/tests/upstream/body.rs";
const SSE: &str = "crates/dialect/tests/fast_sse.rs";
const BOOKS_AWAY: &str = "crates/tollgate/tests/books/away.rs";
const DISK: &str = "crates/tollgate/tests/books/disk.rs";
const SCHEDULES: &str = "crates/ledger/tests/schedules/main.rs";
const LEDGER: &str = "crates/ledger/tests/ledger.rs";
const JOURNAL: &str = "crates/ledger/src/journal/tests.rs";
const CHANGES: &str = "crates/tollgate/tests/books/changes.rs";
const CRASH: &str = "crates/tollgate/tests/kills/crash.rs";
const DAMAGE: &str = "crates/tollgate/tests/kills/damage.rs";
const ENDS: &str = "crates/tollgate/tests/kills/ends.rs";
const EXACT: &str = "crates/tollgate/tests/books/exact.rs";
const MANY: &str = "crates/tollgate/tests/books/many.rs";
const ROLLING: &str = "crates/tollgate/tests/kills/rolling.rs";
const TOGETHER: &str = "crates/tollgate/tests/books/together.rs";
const SPENDING: &str = "crates/ledger/tests/shared/spending.rs";
const SHARED_AWAY: &str = "crates/ledger/tests/shared/away.rs";
const CLOCK: &str = "crates/server/tests/gateway/clock.rs";
const STORE_FAULTS: &str = "crates/store/tests/store/books/faults.rs";
const QUEUE: &str = "crates/policy/src/queue.rs";
const RELAY: &str = "crates/dialect/tests/fast_relay.rs";

/// The rows.
const ROWS: &[Row] = &[
    Row {
        number: 1,
        fault: "a provider refuses connections",
        injected: "one of three deployments closes its port under load, also with streams under way, and opens it again",
        expected: "no caller notices; after three failures it gets probes alone; it comes back by itself with its share",
        held: &[
            at(CONNECT, "r01_one_of_three_that_refuses_costs_the_callers_nothing_and_comes_back"),
            at(CONNECT, "r01_one_that_dies_with_streams_under_way_costs_the_callers_nothing_either"),
        ],
        follows: "",
    },
    Row {
        number: 2,
        fault: "all refuse",
        injected: "all three ports are closed under load",
        expected: "LiteLLM's status, no address in it; retries within the group's budget; served again as soon as they are back",
        held: &[at(CONNECT, "r02_where_all_refuse_the_callers_hear_so_and_no_storm_follows")],
        follows: "",
    },
    Row {
        number: 3,
        fault: "connecting hangs",
        injected: "a listener whose queue is full",
        expected: "the limit to connect is what it costs a few requests; no caller gets an error",
        held: &[
            at(CONNECT, "r03_a_provider_that_never_accepts_costs_its_limit_to_connect_and_no_answer"),
            at(CONNECTING, "a_connection_that_nobody_answers_ends_at_its_limit"),
        ],
        follows: "",
    },
    Row {
        number: 4,
        fault: "names do not resolve, or slowly",
        injected: "a name that is none; a resolver that fails, hangs, or answers late",
        expected: "another deployment answers; an address that served is kept for an hour; look-ups are bounded and beside the road",
        held: &[
            at(CONNECT, "r04_a_name_that_does_not_resolve_goes_elsewhere_and_is_asked_for_by_few_threads"),
            at(RESOLVE, "an_old_address_serves_at_once_while_it_is_asked_again"),
            at(RESOLVE, "after_an_hour_of_failures_the_old_address_is_gone"),
            at(RESOLVE, "a_resolver_that_hangs_holds_a_fixed_number_of_look_ups_and_callers_hold_their_own"),
        ],
        follows: "",
    },
    Row {
        number: 5,
        fault: "a name turns to an inner address",
        injected: "a resolver whose answers turn inward; addresses in requests, in every spelling",
        expected: "no connection is opened there",
        held: &[
            at(CONNECT, "r05_an_inner_address_that_a_caller_names_is_never_connected_to"),
            at(GUARD, "a_public_name_of_the_operators_that_turns_inward_is_not_connected_to"),
            at(GUARD, "no_spelling_of_an_inner_address_is_connected_to_for_anyone_but_the_operator"),
        ],
        follows: "",
    },
    Row {
        number: 6,
        fault: "TLS fails",
        injected: "no TLS at all, silence, a wrong or expired certificate, an old version",
        expected: "another deployment answers; not one byte of the request goes out in the clear",
        held: &[
            at(CONNECT, "r06_a_provider_that_speaks_no_tls_never_sees_the_request"),
            at(TLS, "a_certificate_that_proves_nothing_ends_before_the_request"),
            at(TLS, "a_provider_that_speaks_no_tls_or_an_old_one_never_sees_the_request"),
        ],
        follows: "",
    },
    Row {
        number: 7,
        fault: "a kept connection is closed",
        injected: "a provider that closes after each reply without saying so",
        expected: "no error and no request sent twice in thousands",
        held: &[
            at(CONNECT, "r07_a_reused_connection_that_was_closed_costs_the_caller_nothing"),
            at(IDLE, "two_thousand_requests_meet_a_provider_that_closes_after_each_reply_without_an_error"),
            at(IDLE, "the_second_try_is_the_last"),
        ],
        follows: "",
    },
    Row {
        number: 8,
        fault: "reset before the head",
        injected: "TCP resets after the request, before and after the head",
        expected: "another attempt answers; every attempt is counted once",
        held: &[at(
            REPLIES,
            "r08_a_reset_before_the_head_is_mended_elsewhere_and_every_attempt_is_counted_once",
        )],
        follows: "an attempt that the provider may have billed all the same is not marked, and costs nothing here",
    },
    Row {
        number: 9,
        fault: "slow first byte",
        injected: "an answer, or a first token, that takes ten minutes",
        expected: "its limit is what it costs, it is let go, another answers; with hedging another is asked before that",
        held: &[
            at(REPLIES, "r09_a_slow_first_byte_costs_its_limit_and_another_answers"),
            at(HEDGES, "r09_a_hedge_answers_in_place_of_the_slow_one_which_is_let_go_and_not_charged"),
            at(HEDGES, "r09_hedges_stay_within_their_budget"),
        ],
        follows: "",
    },
    Row {
        number: 10,
        fault: "no answer ever",
        injected: "all deployments hang",
        expected: "each is asked once, then LiteLLM's 408; nothing is held on to",
        held: &[at(
            REPLIES,
            "r10_where_nobody_ever_answers_each_is_asked_once_and_the_caller_is_told_in_time",
        )],
        follows: "",
    },
    Row {
        number: 11,
        fault: "429 with a time",
        injected: "`Retry-After` in seconds, as a date, too far, as garbage; `retry-after-ms`; `x-ratelimit-*` on errors and answers",
        expected: "not one request before the time is over, also where it is the last deployment; if all are limited the caller hears the soonest time",
        held: &[
            at(REPLIES, "r11_a_limited_deployment_is_not_sent_to_before_its_time_whatever_form_that_has"),
            at(REPLIES, "r11_a_limit_that_headers_tell_of_is_kept_to_as_well"),
            at(REPLIES, "r11_a_limit_that_is_over_is_over"),
            at(
                REPLIES,
                "r11_where_all_are_limited_the_caller_hears_the_soonest_time_and_nobody_is_asked_again",
            ),
        ],
        follows: "",
    },
    Row {
        number: 12,
        fault: "429 without a time",
        injected: "one of three is limited all the time",
        expected: "pauses that grow; no caller sees a 429 while others have room",
        held: &[at(REPLIES, "r12_a_limit_without_a_time_pauses_longer_and_longer_while_others_have_room")],
        follows: "",
    },
    Row {
        number: 13,
        fault: "500, 502, 503, 529 without end",
        injected: "one of three; then all three, with and without a group to fall back on; a long chain of groups that all fail",
        expected: "one of three: no caller notices, three attempts and then probes; all: the chain, or the provider's status with at most a tenth more sends and the floor of the retry budget; six sends at most for one request",
        held: &[
            at(REPLIES, "r13_a_storm_of_errors_at_one_of_three_trips_it_and_the_callers_see_none"),
            at(REPLIES, "r13_six_sends_are_all_for_one_request_however_long_its_chain"),
            at(
                REPLIES,
                "r13_a_storm_of_errors_at_all_goes_down_the_chain_and_where_there_is_none_fails_without_a_storm",
            ),
        ],
        follows: "",
    },
    Row {
        number: 14,
        fault: "a part of all requests fails",
        injected: "30% of the requests of all deployments get a 503, drawn by a seed",
        expected: "retries up to the budget and not beyond; every failure is mended or told",
        held: &[at(REPLIES, "r14_a_third_of_all_failing_is_retried_as_far_as_the_budget_goes")],
        follows: "",
    },
    Row {
        number: 15,
        fault: "refusals of every kind",
        injected: "400, 413, 422, context window, content policy, 401, 403, 404, 429 on three wires",
        expected: "the caller's faults are never sent again; the others go to another deployment at once; a wrong key is benched with all that show it and an alert, an unknown model for this deployment alone",
        held: &[
            at(REPLIES, "r15_every_kind_of_refusal_goes_where_it_belongs"),
            at(REPLIES, "r15_a_wrong_key_is_benched_with_all_that_show_it_and_an_alert_is_raised"),
            at(REPLIES, "r15_a_model_that_is_not_there_benches_this_deployment_alone"),
            at(
                "crates/dialect/tests/openai_error.rs",
                "a_prompt_that_does_not_fit_is_told_from_other_bad_requests_whoever_says_so",
            ),
        ],
        follows: "",
    },
    Row {
        number: 16,
        fault: "the wrong kind of content",
        injected: "web pages with 200, 403 and 502, plain text, a stream for a plain request and the other way round",
        expected: "another deployment answers; no page reaches a caller",
        held: &[
            at(REPLIES, "r16_a_page_in_place_of_a_reply_is_never_relayed"),
            at(REPLIES, "r16_a_stream_where_none_was_asked_for_and_none_where_one_was_are_no_replies"),
        ],
        follows: "",
    },
    Row {
        number: 17,
        fault: "malformed content",
        injected: "JSON that is cut, an error under a 200, nothing, no UTF-8, counts beyond all measure; fuzzed replies of every wire",
        expected: "another deployment answers; no panic and no debt",
        held: &[
            at(REPLIES, "r17_what_is_no_reply_of_the_wire_goes_elsewhere"),
            at(REPLIES, "r17_numbers_beyond_all_measure_make_no_debt_and_no_panic"),
            at("crates/dialect/tests/fuzz/main.rs", "every_target_has_a_test_a_corpus_and_an_engine"),
        ],
        follows: "",
    },
    Row {
        number: 18,
        fault: "framing that lies",
        injected: "a wrong length, a cut, headers without end, a header of 10 MB, a flood of interim replies, a second reply behind the first",
        expected: "another deployment answers; memory stays within twice the cap of a reply; no byte is taken for another's",
        held: &[
            at(REPLIES, "r18_a_reply_that_breaks_its_own_framing_goes_elsewhere_and_takes_no_memory"),
            at(REPLIES, "r18_bytes_behind_a_reply_are_nobodys_reply"),
            at(REPLIES, "r18_a_flood_of_interim_replies_ends"),
            at(FRAMING, "a_head_that_can_be_read_in_two_ways_is_refused"),
            at(HEAD, "a_head_without_end_is_cut_off_whatever_it_is_made_of"),
        ],
        follows: "",
    },
    Row {
        number: 19,
        fault: "replies that are too large",
        injected: "a body without end, a gzip bomb of a gibibyte",
        expected: "cut at the cap, a 502; memory grows by the cap and 8 MiB at most",
        held: &[
            at(REPLIES, "r19_a_reply_without_end_and_a_bomb_are_cut_at_the_cap"),
            at(BODY, "a_bomb_is_defused_before_it_is_large"),
        ],
        follows: "",
    },
    Row {
        number: 20,
        fault: "a stream breaks",
        injected: "resets and three kinds of early ends after each token",
        expected: "it goes on from another deployment, no byte lost or repeated; where nobody can go on, one error event, no end mark, and what was delivered is billed",
        held: &[
            at(
                STREAMS,
                "r20_a_stream_that_breaks_anywhere_goes_on_from_another_deployment_without_a_byte_lost_or_repeated",
            ),
            at(STREAMS, "r20_where_nobody_can_go_on_the_caller_is_told_and_pays_for_what_it_got"),
        ],
        follows: "the sum in the books, row by row; what is held are the counters of tokens and money",
    },
    Row {
        number: 21,
        fault: "a stream stalls",
        injected: "silence after some tokens",
        expected: "as when it breaks, after the limit between two parts; the silent provider is let go",
        held: &[
            at(
                STREAMS,
                "r21_a_stream_that_stalls_goes_on_from_another_deployment_and_the_silent_one_is_let_go",
            ),
            at(STREAMS, "r21_a_stall_that_nobody_mends_ends_with_the_error_event"),
        ],
        follows: "",
    },
    Row {
        number: 22,
        fault: "a stream in odd pieces",
        injected: "a network that passes on 1 to 1,000 bytes at a time; every cut of every corpus",
        expected: "the caller reads the same",
        held: &[
            at(STREAMS, "r22_however_the_network_cuts_a_stream_the_caller_reads_the_same"),
            at(SSE, "any_mixture_in_any_cutting_gives_what_the_grammar_gives"),
            at(SSE, "letters_of_several_bytes_survive_every_cut"),
            at(RELAY, "the_fast_road_reads_as_the_slow_road_in_any_cutting"),
        ],
        follows: "",
    },
    Row {
        number: 23,
        fault: "a stream ends without its end",
        injected: "no `[DONE]`, no reason to stop, no usage",
        expected: "the end mark is written where the reason to stop came; else it is a break; usage is estimated and marked so",
        held: &[at(
            STREAMS,
            "r23_an_end_without_its_mark_is_an_end_where_the_reason_to_stop_came_and_a_break_where_not",
        )],
        follows: "",
    },
    Row {
        number: 24,
        fault: "odd usage",
        injected: "none, twice, zero, negative, beyond all measure",
        expected: "the last counts, a zero is believed, what cannot be is estimated",
        held: &[at(STREAMS, "r24_the_last_usage_counts_a_zero_is_believed_and_what_cannot_be_is_estimated")],
        follows: "",
    },
    Row {
        number: 25,
        fault: "very many pieces",
        injected: "a stream of single bytes; 10,000 events as fast as they come",
        expected: "everything in order, and others are served meanwhile",
        held: &[
            at(STREAMS, "r25_a_stream_of_single_bytes_arrives_whole_while_others_are_served"),
            at(STREAMS, "r25_ten_thousand_events_as_fast_as_they_come_arrive_in_order"),
        ],
        follows: "",
    },
    Row {
        number: 26,
        fault: "the caller leaves",
        injected: "before the head; after each token; while a hedge is under way; while it waits for a place",
        expected: "the provider is let go at once, nobody else is asked; what was made is billed once",
        held: &[
            at(CALLERS, "r26_a_caller_that_leaves_before_the_head_frees_the_provider"),
            at(CALLERS, "r26_a_caller_that_leaves_takes_along_all_that_is_in_flight_or_waits_for_it"),
            at(CALLERS, "r26_a_caller_that_leaves_after_any_token_frees_the_provider_and_is_counted_once"),
        ],
        follows: "the row in the books; what is held are the counters of tokens and money",
    },
    Row {
        number: 27,
        fault: "callers that read nothing",
        injected: "tens of streams (hundreds in a long run) whose callers read not a byte",
        expected: "their providers are held back, each costs little memory, others are served, they are let go after their time",
        held: &[at(CALLERS, "r27_callers_that_read_nothing_hold_their_providers_back_and_are_let_go")],
        follows: "",
    },
    Row {
        number: 28,
        fault: "heads and bodies that never end",
        injected: "connections that say nothing, half a head, half a body",
        expected: "cut off after their time; all others are served",
        held: &[at(CALLERS, "r28_heads_and_bodies_that_never_end_are_cut_off_and_keep_nobody_out")],
        follows: "",
    },
    Row {
        number: 29,
        fault: "floods of connections",
        injected: "ten times the cap; floods of HTTP/2 frames",
        expected: "connections beyond the cap wait, those that are in go on; HTTP/2 is not spoken",
        held: &[
            at(CALLERS, "r29_connections_beyond_the_cap_wait_and_those_that_are_in_go_on"),
            at(CALLERS, "r29_a_client_of_http_2_is_turned_away_before_it_can_flood"),
        ],
        follows: "",
    },
    Row {
        number: 30,
        fault: "no place at a provider",
        injected: "five times as many requests as `max_parallel_requests`, short and without end",
        expected: "never more at once than allowed; waiting, then 503 with `Retry-After`; nobody waits while another deployment has room; those who wait take turns key by key",
        held: &[
            at(QUEUE, "teams_take_turns_within_a_priority_however_many_each_has_waiting"),
            at(CALLERS, "r30_a_full_pool_is_waited_for_and_what_finds_no_place_in_time_is_told_so"),
            at(CALLERS, "r30_while_another_deployment_has_room_nobody_waits_or_is_turned_away"),
        ],
        follows: "that turns are taken team by team; each key has a turn of its own",
    },
    Row {
        number: 31,
        fault: "the process is killed",
        injected: "`kill -9` at another moment of each of five rounds of requests, 100 rounds of 100 in a long run; a journal of 100,000 records that nobody has carried",
        expected: "of what was answered or received no record is lost and none doubled; what was open is booked by its intent and flagged; the journal is read twice and no more before the first caller",
        held: &[
            at(CRASH, "r31_a_kill_at_any_moment_loses_nothing_and_doubles_nothing"),
            at(CRASH, "r31_a_journal_of_100_000_records_is_read_in_few_steps_before_the_first_caller"),
            at(JOURNAL, "an_intent_that_is_taken_back_before_it_is_written_is_no_orphan"),
            at(LEDGER, "what_was_under_way_at_a_kill_is_settled_at_the_next_start_and_once"),
        ],
        follows: "",
    },
    Row {
        number: 32,
        fault: "the journal is damaged",
        injected: "torn ends, turned bits, zeroes and foreign bytes all over what a kill has left",
        expected: "it starts; every record that is whole is in the books once, no other; damaged bytes are kept in a file of their own",
        held: &[
            at(
                DAMAGE,
                "r32_whatever_is_damaged_in_the_journal_it_starts_and_has_all_that_is_whole_and_nothing_else",
            ),
            at(JOURNAL, "a_torn_end_and_turned_bits_lose_the_damaged_records_and_no_other"),
        ],
        follows: "",
    },
    Row {
        number: 33,
        fault: "the process is asked to end",
        injected: "SIGTERM with streams open and rows waiting for books that are locked",
        expected: "every stream goes on to its end, nobody else is let in, every row is in the books at the end of the process; streams beyond the grace time get an error event and are paid for; rows that cannot be brought are there after the next start",
        held: &[
            at(ENDS, "r33_an_end_that_is_asked_for_breaks_no_stream_and_brings_every_row_into_the_books"),
            at(ENDS, "r33_streams_that_outlast_the_grace_are_told_so_and_paid_for"),
            at(ENDS, "r33_rows_that_the_books_do_not_take_at_the_end_are_there_after_the_next_start"),
        ],
        follows: "",
    },
    Row {
        number: 34,
        fault: "gateways are restarted by turns",
        injected: "two of them behind HAProxy, each ended and started again (twenty times in a long run) while requests and streams go on",
        expected: "no request fails",
        held: &[at(ROLLING, "r34_gateways_that_are_restarted_by_turns_behind_a_balancer_fail_no_request")],
        follows: "",
    },
    Row {
        number: 36,
        fault: "a worker's thread stands still",
        injected: "a task that waits on its thread",
        expected: "it is counted, once however long it lasts, and told in the log; a process that stood as a whole is not",
        held: &[
            at(VITALS, "r36_a_blocked_worker_is_counted_and_one_that_goes_on_again_can_be_blocked_again"),
            at(VITALS, "a_worker_that_stands_still_is_counted_once_each_time"),
            at(VITALS, "a_process_that_stood_as_a_whole_is_nobodys_stall"),
            at(TIDY, "what_serves_requests_waits_on_no_thread"),
        ],
        follows: "",
    },
    Row {
        number: 37,
        fault: "memory is short",
        injected: "a limit that the process is over from the start",
        expected: "critical requests are served, all others get a 503 with `Retry-After` before their body is read",
        held: &[
            at(PRESSURE, "r37_while_memory_is_short_critical_requests_are_served_and_no_others"),
            at(PRESSURE, "r37_where_memory_suffices_nobody_is_refused"),
        ],
        follows: "a control group's end of memory; played by hand, with 512 MiB and twice what fits: nothing was ended, \
                  each of 300 critical requests served",
    },
    Row {
        number: 39,
        fault: "PostgreSQL is away",
        injected: "stopped, hung, read-only, without a free connection, restarted, while requests are served (five minutes in a long run)",
        expected: "keys that are known are all served and their budgets hold; others get a 503 and not a 401, admin calls a 503 (where the database can be read, a 401, and a 503 for changes alone); readiness stays 200 and says so; afterwards no record is lost or doubled",
        held: &[
            at(BOOKS_AWAY, "r39_with_postgresql_stopped_those_who_are_known_go_on_and_no_record_is_lost"),
            at(BOOKS_AWAY, "r39_with_postgresql_hung_those_who_are_known_go_on_and_no_record_is_lost"),
            at(BOOKS_AWAY, "r39_with_postgresql_read_only_those_who_are_known_go_on_and_no_record_is_lost"),
            at(BOOKS_AWAY, "r39_with_postgresql_full_those_who_are_known_go_on_and_no_record_is_lost"),
            at(BOOKS_AWAY, "r39_a_restart_of_postgresql_in_the_midst_of_requests_is_noticed_by_nobody"),
            at(STORE_FAULTS, "a_server_that_stops_freezes_or_is_full_is_unavailable_and_comes_back"),
        ],
        follows: "",
    },
    Row {
        number: 40,
        fault: "PostgreSQL is away at the start",
        injected: "a start while the server is stopped",
        expected: "the gateway does not start, says what is wrong with the database, and no password",
        held: &[at(BOOKS_AWAY, "r40_without_postgresql_nothing_is_started_and_it_is_said_why")],
        follows: "",
    },
    Row {
        number: 41,
        fault: "the answer to a commit never comes",
        injected: "connections that are cut at a commit, by turns before it arrives and after it was carried out",
        expected: "every attempt is booked once",
        held: &[
            at(BOOKS_AWAY, "r41_a_commit_whose_answer_never_came_is_booked_once"),
            at(STORE_FAULTS, "a_connection_that_is_cut_at_its_commit_loses_and_doubles_nothing"),
        ],
        follows: "",
    },
    Row {
        number: 46,
        fault: "the disk is full",
        injected: "a limit of the gateway's files, reached in the midst of records, for the journal alone and for the database too",
        expected: "what is under a budget gets a 503 `ledger_unavailable` and is not sent; all else is served, up to 100,000 records in memory; afterwards all goes on and no record is lost or doubled",
        held: &[
            at(DISK, "r46_on_a_full_disk_nothing_under_a_budget_is_sent_and_all_else_is_kept_in_memory"),
            at(DISK, "r46_a_disk_that_is_full_for_journal_and_database_loses_nothing_either"),
            at(LEDGER, "while_the_disk_refuses_so_much_is_kept_in_memory_and_beyond_that_nothing_is_sent"),
            at(JOURNAL, "what_was_refused_and_is_taken_back_fills_no_memory"),
        ],
        follows: "",
    },
    Row {
        number: 48,
        fault: "the clock on the wall is wrong",
        injected: "set back and forward by a second, an hour, a day, to 1970; midnights of days of 23 and 25 hours; ends of weeks, months, a leap year",
        expected: "each period has its budget once; none is missed and none comes twice",
        held: &[
            at(CLOCK, "a_clock_that_is_set_back_and_forward_gives_nobody_a_budget_twice"),
            at(CLOCK, "a_day_of_23_hours_and_one_of_25_have_one_budget_each"),
            at(CLOCK, "a_month_ends_once_however_long_it_was"),
        ],
        follows: "",
    },
    Row {
        number: 51,
        fault: "something is taken away during a stream",
        injected: "a key deleted, blocked, regenerated, a budget lowered, a model or a team taken away, at one of two gateways on one database",
        expected: "the stream goes on; the next request is refused there, and at the other gateway as soon as it has heard of it, and so are all that follow; a new key is known to the other gateway at once",
        held: &[
            at(CHANGES, "r51_what_is_taken_away_during_a_stream_refuses_the_next_request_at_every_gateway"),
            at(CHANGES, "r51_a_key_that_one_gateway_has_made_is_known_to_another_at_its_first_request"),
        ],
        follows: "",
    },
    Row {
        number: 52,
        fault: "very many keys",
        injected: "10,000 keys and 1,000 teams in PostgreSQL, ten times as many in a long run",
        expected: "all are read at the start, into less than 64 MiB and 1,400 bytes a key, which is less than 200 MiB for 100,000; the first and the last page of the list, a search by alias, and every key that is tried",
        held: &[at(MANY, "r52_a_hundred_thousand_keys_are_read_at_the_start_listed_and_found")],
        follows: "",
    },
    Row {
        number: 53,
        fault: "one key that is hot, and many that there are not",
        injected: "hundreds of requests of one key at the same time; thousands of unknown keys, each once (50,000 in a long run)",
        expected: "every request is served and booked once; unknown keys take no memory",
        held: &[
            at(MANY, "r53_requests_of_one_key_at_the_same_time_are_all_served_and_all_booked"),
            at(MANY, "r53_keys_that_there_are_not_take_no_memory_however_many_are_tried"),
        ],
        follows: "",
    },
    Row {
        number: 54,
        fault: "a thousand requests at once for a budget of ten",
        injected: "1,000 requests, 250 at a time, of one key and of three keys of one team; half of them failing; every order of their steps that a scheduler draws, 1,000 of them; several gateways on one PostgreSQL, which is taken away, loses its answers, or of which one is killed, hundreds of requests at each of them at the same time",
        expected: "exactly ten pass and the rest is refused; what a failed request held is there for another; of several gateways none gives away what another has spent or holds, it is counted once, and each mark is told once",
        held: &[
            at(EXACT, "r54_of_a_thousand_requests_exactly_ten_pass_where_the_budget_is_for_ten"),
            at(EXACT, "r54_what_failed_requests_held_is_there_for_others_and_never_twice"),
            at(SCHEDULES, "in_every_order_of_their_steps_as_many_pass_as_the_budget_is_for"),
            at(LEDGER, "of_a_thousand_at_once_ten_pass_where_the_budget_is_for_ten"),
            at(TOGETHER, "r54_a_budget_is_one_budget_also_through_two_gateways_on_one_database"),
            at(SPENDING, "what_one_spends_another_refuses_once_it_knows"),
            at(SPENDING, "two_who_spend_at_the_same_time_agree_and_spend_the_budget_once"),
            at(TOGETHER, "r54_of_hundreds_at_each_of_three_gateways_as_many_pass_as_the_budget_is_for"),
            at(TOGETHER, "r54_what_a_killed_gateway_held_is_there_again_when_it_is_not_heard_of_any_more"),
            at(SHARED_AWAY, "while_the_database_is_away_each_goes_on_alone_and_afterwards_all_agree"),
            at(SHARED_AWAY, "rows_of_which_nobody_knows_whether_they_arrived_are_counted_once"),
            at(SHARED_AWAY, "what_a_killed_gateway_has_not_brought_is_known_to_all_when_it_is_there_again"),
        ],
        follows: "",
    },
    Row {
        number: 55,
        fault: "marks of a budget passed by many at once",
        injected: "hundreds of requests at a time over a soft budget, 75, 90 and 100% of a key's and a team's",
        expected: "a webhook hears of each mark once; from 90% on requests go to the cheaper group, at 100% they are refused",
        held: &[at(EXACT, "r55_marks_that_are_passed_by_many_at_once_are_told_once_each")],
        follows: "",
    },
    Row {
        number: 57,
        fault: "more than can be served",
        injected: "three times the capacity, critical and other requests mixed by `priority`",
        expected: "the least critical is shed first, with `Retry-After`; everything critical is served; all places are used; over when the flood is",
        held: &[at(
            CALLERS,
            "r57_beyond_its_capacity_the_least_critical_is_shed_first_and_the_rest_is_served",
        )],
        follows: "",
    },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[test]
fn all_rows_are_there_and_each_is_held() {
    let numbers: Vec<u32> = ROWS.iter().map(|row| row.number).collect();
    assert_eq!(
        numbers,
        (1..=34).chain([36, 37, 39, 40, 41, 46, 48]).chain(51..=55).chain([57]).collect::<Vec<u32>>()
    );
    for row in ROWS {
        assert!(!row.held.is_empty(), "nothing holds R{}", row.number);
    }
}

#[test]
fn every_test_that_is_named_exists() {
    for held in ROWS.iter().flat_map(|row| row.held) {
        let text =
            std::fs::read_to_string(root().join(held.file)).unwrap_or_else(|_| panic!("no {}", held.file));
        assert!(text.contains(&format!("fn {}(", held.test)), "{} has no {}", held.file, held.test);
    }
}

#[test]
fn every_test_of_a_row_is_named_by_it() {
    let named: BTreeSet<(u32, &str)> =
        ROWS.iter().flat_map(|row| row.held.iter().map(|held| (row.number, held.test))).collect();
    let folders = ["faults", "books", "kills"].map(|name| root().join("crates/tollgate/tests").join(name));
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().flatten()) {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for name in text.lines().filter_map(|line| line.strip_prefix("async fn r")) {
            let (number, rest) = name.split_at(2);
            let Ok(number) = number.parse::<u32>() else { continue };
            let test = format!("r{number:02}{}", rest.split('(').next().unwrap());
            assert!(named.contains(&(number, test.as_str())), "{test} is not in the row R{number}");
        }
    }
}

const BEGIN: &str =
    "<!-- faults: made from crates/tollgate/tests/faults/rows.rs; a test compares them -->\n\n";
const END: &str = "\n\n<!-- end of faults -->\n";

/// The table as the page shows it.
fn table() -> String {
    let mut text = "| | fault | injected | what holds | held by |\n|---|---|---|---|---|".to_owned();
    for row in ROWS {
        let held: Vec<String> = row.held.iter().map(|held| format!("`{}`", held.test)).collect();
        let follows =
            if row.follows.is_empty() { String::new() } else { format!(" (not held: {})", row.follows) };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n| R{} | {} | {} | {}{follows} | {} |",
            row.number,
            row.fault,
            row.injected,
            row.expected,
            held.join(", ")
        );
    }
    text
}

#[test]
fn the_page_shows_the_rows_as_they_are() {
    let path = root().join("docs/faults.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the mark before the table");
    let (written, after) = rest.split_once(END).expect("the mark after the table");
    let expected = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    let differs = written.lines().zip(expected.lines()).find(|(written, expected)| written != expected);
    assert!(written == expected, "run this test with UPDATE_DOCS=1; first difference: {differs:?}");
}
