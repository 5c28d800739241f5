#pragma once

// Every metric name of Fairlead, in one place. docs/reference/metrics.md is compared with this file
// by a test. Add `inline constexpr char kName[] = "fairlead_...";  // unit; what it counts`.
namespace fairlead::metrics {

// The agent's.
inline constexpr char kAgentEvents[] = "fairlead_agent_events";        // count; watch events read
inline constexpr char kAgentItems[] = "fairlead_agent_list_items";     // count; list items read
inline constexpr char kAgentChanges[] = "fairlead_agent_changes";      // count; put into the outbox
inline constexpr char kAgentUnchanged[] = "fairlead_agent_unchanged";  // count; nothing to send
inline constexpr char kAgentInvalid[] = "fairlead_agent_invalid";      // count; could not be read
inline constexpr char kAgentOversize[] = "fairlead_agent_oversize";    // count; beyond the limit
inline constexpr char kAgentLists[] = "fairlead_agent_list_pages";     // count; pages of full lists
inline constexpr char kAgentRereads[] = "fairlead_agent_rereads";      // count; read again
inline constexpr char kAgentPendingBytes[] = "fairlead_agent_pending_bytes";  // bytes; to be sent
inline constexpr char kAgentGranted[] = "fairlead_agent_accounts_granted";    // count; accounts
inline constexpr char kAgentConnected[] = "fairlead_agent_connected";  // 0 or 1; session open
inline constexpr char kAgentSessions[] = "fairlead_agent_sessions";    // count; sessions opened
inline constexpr char kAgentWindow[] = "fairlead_agent_window_bytes";  // bytes; may be on their way
inline constexpr char kAgentBacklog[] = "fairlead_agent_backlog_bytes";  // bytes; wait for the line
inline constexpr char kAgentRoundTrip[] = "fairlead_agent_control_round_trip_seconds";  // of beats
inline constexpr char kAgentWatches[] = "fairlead_agent_watches";  // count by state; watches

// The endpoint's store.
inline constexpr char kStoreRowsWritten[] = "fairlead_store_rows_written_total";
inline constexpr char kStoreRowsDeleted[] = "fairlead_store_rows_deleted_total";
inline constexpr char kStoreRowsUnchanged[] = "fairlead_store_rows_unchanged_total";
inline constexpr char kStoreRowsRefused[] = "fairlead_store_rows_refused_total";
inline constexpr char kStoreBatches[] = "fairlead_store_batches_total";
inline constexpr char kStoreFailures[] = "fairlead_store_transaction_failures_total";
inline constexpr char kStoreQueuedBytes[] = "fairlead_store_queued_bytes";
inline constexpr char kReplicas[] = "fairlead_endpoint_replicas";
inline constexpr char kStoreProofs[] = "fairlead_store_proofs_total";  // count by result

// The endpoint's freshness and audits.
inline constexpr char kFreshnessWatches[] = "fairlead_freshness_watches";  // count by state
inline constexpr char kFreshnessOldest[] = "fairlead_freshness_oldest_seconds";
inline constexpr char kFreshnessHeld[] = "fairlead_freshness_held_rows";
inline constexpr char kAuditRowsHashed[] = "fairlead_audit_rows_hashed_total";
inline constexpr char kAuditRowsDamaged[] = "fairlead_audit_rows_damaged_total";

// The operator's, under controller-runtime's names.
inline constexpr char kReconcileTotal[] = "controller_runtime_reconcile_total";
inline constexpr char kReconcileTerminal[] = "controller_runtime_terminal_reconcile_errors_total";
inline constexpr char kReconcilePanics[] = "controller_runtime_reconcile_panics_total";
inline constexpr char kEventsDropped[] = "fairlead_operator_events_dropped_total";
inline constexpr char kReconcileSeconds[] = "controller_runtime_reconcile_time_seconds";

}  // namespace fairlead::metrics
