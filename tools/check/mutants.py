#!/usr/bin/env python3
"""make mutants: breaks the product on purpose, one rule at a time, in a copy, and fails unless the named test turns red.

usage: mutants.py [TEXT]   only those whose name or file contains TEXT

A mutant that survives, no longer applies, or does not compile is a failure: then the rule has no guard.
"""
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build/mutants"

# name, file, text, replacement, test binary, test that must fail
MUTANTS = [
    ("a window that only grows", "lib/wire/pacer.cc", "waited ? 0.0 : 1.5, 2.0)", "waited ? 1.0 : 1.5, 2.0)",
     "unit_lib_wire", "Pacer.ALineThatBecomesSlowIsGivenLessWithinARoundTripOfTheNewRate"),
    ("a window of whatever a sender had to say", "lib/wire/pacer.cc", "if (!limited_ || number <= filled_at_) return;", "if (number == 0) return;",
     "unit_lib_wire", "Pacer.ATrickleNeitherNarrowsTheWindowNorTellsOfARateThatNobodySaw"),
    ("a full window without a mark", "lib/wire/pacer.cc", "const bool covered = !full_ || !marks_.empty();", "const bool covered = true;",
     "unit_lib_wire", "Pacer.WhoeverMayNotSendWaitsForAnAnswer"),
    ("fragments of any size together", "lib/wire/fragments.cc", "if (fragment.data().size() > most_bytes_ - bytes_.size()) {", "if (bytes_.size() > most_bytes_ * 4) {",
     "unit_lib_wire", "Fragments.AMessageBeyondTheLimitEndsBeforeItIsHeld"),
    ("a backlog that nobody is told the end of", "agent/uplink/bulk_lane.cc", "room = backlog_->Remove(waiting_.front().counted) || room;", "(void)backlog_->Remove(waiting_.front().counted);",
     "unit_agent_uplink", "UplinkTest.BulkWaitsForTheLineWhileBeatsGoOn"),
    ("rows of what nobody asks for stay", "endpoint/session/hub_grants.cc", "  if (Rescope(action, *begun)) return;\n", "",
     "unit_endpoint_session", "HubTest.RowsThatFellOutOfTheScopeGoBeforeTheNextGrant"),
    ("rows out of the scope are protected", "endpoint/store/batch_writer_snapshot.cc", "if (hold && !one.outside) {", "if (hold) {",
     "unit_endpoint_store", "Databases/ScopeFilterTest.RowsOfOmittedNamespacesAreNoLossAndOthersAreHeld/Sqlite"),
    ("rows out of the scope are buried", "endpoint/store/batch_writer_snapshot.cc", "if (!one.outside) plan_.Bury(", "plan_.Bury(",
     "unit_endpoint_store", "Databases/ScopeFilterTest.WhatFellOutComesBackAsItWasWhenItIsWantedAgain/Sqlite"),
    ("an object that is refused is forgotten", "endpoint/session/hub_grants.cc", "refusals_[batch.account].Committed(batch.refused_before, batch.refused);", "",
     "unit_endpoint_session", "HubTest.WhatCannotBeStoredIsToldUntilItIs"),
    ("an account of any number of objects", "endpoint/store/batch_writer.cc", "if (room > 0) {", "if (room != 0) {",
     "unit_endpoint_store", "Databases/LimitsTest.ObjectsBeyondTheLimitAreRefusedAloneAndWithTheReason/Sqlite"),
    ("a list that nobody admitted", "endpoint/session/hub_grants.cc", "if (!MayList(payload, grant)) return", "if (account == base::U128{}) return",
     "unit_endpoint_session", "HubTest.AListThatWasNotAdmittedEndsTheGrant"),
    ("a flood of messages", "endpoint/session/hub.cc", "if (!session->messages.Take(now())) return", "if (!session->messages.Take(now()) && session->id == 0) return",
     "unit_endpoint_session", "HubTest.AFloodOfMessagesEndsTheSession"),
    ("a server's restart counts as a wasted stream", "lib/kube/watch_machine.cc", "if (was_open) Forgive();", "(void)was_open;",
     "unit_lib_kube", "WatchMachineTest.RestartsOfTheServerWithinAMinuteAreFollowedAtOnce"),
    ("a refusal is told at once", "operator/controllers/fleet_view.cc", "const bool refused = now - entry.whole_at >= kGrace;", "const bool refused = true;",
     "unit_operator_controllers", "FleetViewTest.ObjectsThatAreRefusedAreToldAfterAMinuteAndAtOnceNoMore"),
    ("no fence on the term", "endpoint/store/writer.cc", "if (hit == 1) continue;", "if (hit <= 1) continue;",
     "unit_endpoint_store", "Databases/WriterTest.AFormerWriterLandsNothing/Sqlite"),
    ("a term that another replica made again", "endpoint/store/writer.cc", "AND last_seq = ? AND replica = ?\"", "AND last_seq = ? AND (replica = ? OR 0 = 0)\"",
     "unit_endpoint_store", "Databases/ShardsTest.ATermThatAnotherReplicaMadeAgainIsNotOurs/Sqlite"),
    ("an account that nobody serves is kept", "lib/wire/lease_table.cc", "  if (!std::exchange(state.asked, false)) return;\n", "  if (state.asked || !state.asked) return;\n",
     "unit_lib_wire", "LeaseTableTest.AnAccountIsLeftThoughItsTermIsStillOnItsWay"),
    ("another replica's commit taken for ours", "endpoint/store/writer.cc", '"AND replica = ?");', '"AND (replica = ? OR 0 = 0)");',
     "unit_endpoint_session", "HubReplicasTest.ACommitWithoutAnAnswerIsNotTakenForThatOfAnotherReplica"),
    ("a term that is made twice", "endpoint/store/shards.cc", "if (hit == 1) return absl::OkStatus();", "if (hit <= 1) return absl::OkStatus();",
     "unit_endpoint_replicas", "Databases/ReplicaRowsTest.NoTermIsMadeTwice/Postgres"),
    ("a shard taken from a live replica", "endpoint/store/shards.cc", "return Exists(*connection_, state.replica);", "return Exists(*connection_, \"\");",
     "unit_endpoint_replicas", "Databases/ReplicaRowsTest.AShardStaysWithTheLiveReplicaThatHoldsIt/Postgres"),
    ("a replica buried though its beat moved", "endpoint/store/replica_rows.cc", "WHERE id = ? AND beat = ?", "WHERE id = ? AND beat <> -?",
     "unit_endpoint_replicas", "Databases/ReplicaRowsTest.WhatADeadReplicaHeldIsFree/Postgres"),
    ("time without a look kills a replica", "endpoint/replicas/replica_judge.cc", " && !late", " && (!late || now > base::Time{})",
     "unit_endpoint_replicas", "ReplicaJudgeTest.TimeInWhichNothingWasReadCountsForNobodysDeath"),
    ("a restored database's terms come again", "endpoint/store/shards.cc", "if (Ahead(one.term, state.term)) state.term = one.term;", "",
     "unit_endpoint_store", "Databases/ShardsTest.AnAgentThatSawALaterTermSaysThatTheDatabaseLostCommits/Sqlite"),
    ("an account of another replica asked for all the time", "lib/wire/lease_table.cc", "  state.elsewhere = true;\n", "",
     "unit_lib_wire", "LeaseTableTest.AnAccountThatAnotherReplicaHasIsAskedForAgainOnlyWhenItIsFree"),
    ("an agent that another replica's death sends here waits like a standby", "lib/wire/lease_table.cc",
     "if (fine && state.elsewhere && !state.holder.has_value()) Begin(state, session, &actions);", "",
     "unit_lib_wire", "LeaseTableTest.AnAgentThatComesFromAnotherReplicaIsAskedForThoughAStandbyHereWaits"),
    ("a lost DELETED", "endpoint/store/row_table.cc",
     '"DELETE FROM objects WHERE id = ?"', '"DELETE FROM objects WHERE id = -?"',
     "unit_endpoint_store", "Databases/WriterTest.AnOlderVersionNeverOverwritesNorComesBackAfterADelete/Sqlite"),
    ("an end that counts before its batch is written", "endpoint/store/batch_writer.cc",
     "std::holds_alternative<Rescope>(batch.entries[entry])) {\n    return Flush(batch);\n  }", "false) {\n  }",
     "unit_endpoint_store", "Databases/BatchRowsTest.AnEndWithinABatchCountsWhatCameBeforeIt/Sqlite"),
    ("a tombstone that goes back", "endpoint/store/batch_writer.cc",
     ": BuriedLater(state, change.history, change.resource_version);", ": false;",
     "unit_endpoint_store", "Databases/BatchRowsTest.ATombstoneNeverGoesBack/Sqlite"),
    ("a tombstone beside its row", "endpoint/store/row_plan.cc",
     "if (planned.tombstone == stored.tombstone) continue;", "if (!planned.tombstone) continue;",
     "unit_endpoint_store", "RowPlanTest.ACreateOverATombstoneTakesItAway"),
    ("a query for each object of a batch", "endpoint/store/batch_writer.cc",
     "    FAIRLEAD_RETURN_IF_ERROR(table_.Load(kinds_[i].id, names[i], &plan_));\n", "    names[i].clear();\n",
     "unit_endpoint_store", "Databases/BatchRowsTest.MoreRowsThanOneGroupHoldsAllLandInGroupsInOrderOfTheirKeys/Sqlite"),
    ("a query for each object of a page", "endpoint/store/batch_writer.cc",
     "    return table_.Load(kind->id, names, &plan_);\n", "    return absl::OkStatus();\n",
     "unit_endpoint_store", "Databases/BatchRowsTest.APageIsReadInFewStatements/Sqlite"),
    ("a group of any number of rows", "endpoint/store/row_table.cc", "rows.rows() < kGroupRows && ", "",
     "unit_endpoint_store", "Databases/BatchRowsTest.MoreRowsThanOneGroupHoldsAllLandInGroupsInOrderOfTheirKeys/Sqlite"),
    ("a group of any number of bytes", "endpoint/store/row_table.cc", " && bytes < kGroupBytes", "",
     "unit_endpoint_store", "Databases/BatchRowsTest.AGroupEndsWithTheRowThatReachesItsBytes/Sqlite"),
    ("a row of many that is refused and not said", "lib/sql/postgres.cc",
     "if (kind == PGRES_COMMAND_OK || kind == PGRES_PIPELINE_ABORTED || !status.ok()) continue;",
     "if (kind != PGRES_PIPELINE_SYNC) continue;",
     "unit_lib_sql", "Databases/Database.OfManyRowsTheRefusedOneIsTheErrorAndTheTransactionGoesOnFromItsSavepoint/Postgres"),
    ("a page's query without a bound", "endpoint/store/reader.cc", "request.bodies ? std::min(left, kChunkObjects) : left", "left",
     "unit_endpoint_store", "Databases/ReaderTest.APageThatEndsByItsBytesReadsFewRowsMore/Sqlite"),
    ("a chunk's end that ends the page", "endpoint/store/reader.cc", "if (!row) return rows == most;", "if (!row) return false;",
     "unit_endpoint_store", "Databases/ReaderTest.PagesOfManyChunksHoldEachObjectOnce/Sqlite"),
    ("a batch that waits for the disk", "endpoint/store/writer.cc", "SetDurability(sql::Durability::kNormal)", "SetDurability(sql::Durability::kFull)",
     "unit_endpoint_store", "Databases/BatchRowsTest.ABatchWaitsForLessThanATerm/Sqlite"),
    ("pairs that are compared with all rows of their kind", "lib/sql/dialect.cc", '" = (SELECT ?::bigint) LIMIT 1) AS found"', '" = ?::bigint) AS found"',
     "unit_lib_sql", "Databases/Pairs.AreLookedUpOneByOneInTheIndexOfAllThree/Postgres"),
    ("pairs whose index the newest statistics choose", "lib/sql/dialect.cc", '" = (SELECT ?::bigint) LIMIT 1) AS found"', '" = ?::bigint LIMIT 1) AS found"',
     "unit_lib_sql", "Databases/Pairs.AreLookedUpOneByOneInTheIndexOfAllThree/Postgres"),
    ("an incomplete list deletes", "endpoint/store/batch_writer_snapshot.cc", "if (snapshot->complete_list && !end.incomplete) {", "if (!end.incomplete) {",
     "unit_endpoint_store", "Databases/WriterTest.AListThatIsNotCompleteDeletesNothing/Sqlite"),
    ("what a list left out is deleted", "endpoint/store/batch_writer_snapshot.cc", "if (snapshot->complete_list && !end.incomplete) {",
     "if (snapshot->complete_list) {", "unit_endpoint_store", "Databases/WriterTest.AListOfWhichAnItemCouldNotBeReadDeletesNothing/Sqlite"),
    ("a list deletes rows of its begin's batch", "endpoint/store/batch_writer_snapshot.cc",
     "if (static_cast<uint64_t>(query->Int(2)) >= snapshot.begin_seq) continue;", "",
     "unit_endpoint_store", "Databases/WriterTest.ARowOfTheBeginsOwnBatchCountsAsWrittenAfterIt/Sqlite"),
    ("a list deletes what was seen since it began", "endpoint/store/batch_writer.cc",
     "  MarkSeen(batch, *kind, object_key);\n", "",
     "unit_endpoint_store", "Databases/WriterTest.ASnapshotDeletesNothingSeenSinceItBeganThoughNothingOfItWasWritten/Sqlite"),
    ("a position outlives its history", "endpoint/store/batch_writer_snapshot.cc",
     "if (begin.history > position.history) {", "if (false) {",
     "unit_endpoint_store", "Databases/WriterTest.AHistoryThatBeganIsNotForgottenWhenItsSnapshotHasNoEnd/Sqlite"),
    ("the first answer to a page counts for all", "endpoint/session/hub_grants.cc",
     "set_through_seq(more ? seq - 1 : seq)", "set_through_seq(more ? seq : seq)",
     "unit_endpoint_session", "HubTest.OnlyTheLastAnswerToABatchOfPagesSaysThatAllAreAnswered"),
    ("a checkpoint before its changes", "lib/wire/outbox.cc",
     "limit == limits.end() ? state.seen : *limit->second;", "state.seen;",
     "unit_lib_wire", "OutboxTest.ACheckpointNeverOvertakesAPendingChange"),
    ("a checkpoint before its changes, found by the model", "lib/wire/outbox.cc",
     "limit == limits.end() ? state.seen : *limit->second;", "state.seen;",
     "unit_model", "Model.EveryOrderOfASmallWorldKeepsTheInvariants"),
    ("what a restore undid is sent all the same", "lib/wire/outbox.cc",
     "if (live.change.history() >= begin.history()) return false;", "return false;",
     "unit_lib_wire", "OutboxTest.ABeginInANewHistoryDropsWhatIsPendingOfTheOneBefore"),
    ("what a replica says after its burial is old", "endpoint/store/replica_rows.cc", "                    beat, said_)", "                    beat, 0)",
     "unit_endpoint_replicas", "Databases/ReplicaRowsTest.WhatAReplicaSaysAfterItWasHeldForDeadIsNewToOthers/Postgres"),
    ("what a buried replica waits for is forgotten", "endpoint/replicas/coordinator.cc", "        listener_->OnForgotten();\n", "",
     "unit_endpoint_replicas", "Databases/CoordinatorTest.AReplicaThatWasHeldForDeadSaysAllAgainAndAsksAgain/Postgres"),
    ("a token of any account", "endpoint/store/reader.cc", "WHERE t.hash = ? AND a.name = ? AND", "WHERE t.hash = ? AND (a.name = ? OR 1 = 1) AND",
     "unit_endpoint_store", "Databases/AccountTokensTest.ATokenIsOfItsOwnAccountOnly/Sqlite"),
    ("a token that outlives its account", "endpoint/registry/registry.cc", '"DELETE FROM account_tokens WHERE account = ?"',
     '"DELETE FROM account_tokens WHERE name = ?"',
     "unit_endpoint_store", "Databases/AccountTokensTest.ATokenEndsWithItsTimeAndWithItsAccount/Sqlite"),
    ("a request under whatever grant there is", "agent/account/account.cc", "if (Current(request.account_uid(), request.term())) {", "if (calls_.size() < 1000) {",
     "unit_agent_account", "AccountCallsTest.ARequestGoesOnlyUnderTheGrantItIsOf"),
    ("impersonation is passed on", "agent/account/api_calls.cc", '!name.starts_with("impersonate-")', "true",
     "unit_agent_account", "ApiCallsTest.ARequestGoesWithTheAccountsOwnCredentials"),
    ("an answer that broke off looks whole", "endpoint/gateway/relay.cc", "  if (begun_) return;\n", "  if (begun_) return responder->End();\n",
     "unit_endpoint_gateway", "RelayTest.AnAnswerThatBrokeOffDoesNotLookWhole"),
    ("an answer that nobody reads is taken in", "agent/account/api_calls.cc", "if (told_ < credit_ || paused_) return;", "return;",
     "unit_agent_account", "ApiCallsTest.BeyondTheCreditTheAnswerIsPaused"),
    ("calls of a session that ended wait for ever", "endpoint/session/hub.cc", "  CloseExchanges(session.get(), told);\n", "",
     "unit_endpoint_session", "HubCallsTest.WithTheSessionEveryCallEnds"),
    ("a Secret's size tells of it", "lib/wire/outbox.cc", 'kind.resource() == "secrets"', 'kind.resource() == "none"',
     "unit_lib_wire", "OutboxTest.NothingHasASecretInCommonWithAnything"),
    ("what was read joins no history", "lib/wire/codec.cc", "if (history != nullptr) history->Add(raw);", "",
     "unit_lib_wire", "Codec.SmallPayloadsArePrefixedByThoseBefore"),
    ("batches of a grant are read alone", "endpoint/session/hub_grants.cc", "batch.prefixed() ? &grant.history : nullptr", "nullptr",
     "unit_endpoint_session", "HubTest.ABatchIsReadWithThoseBeforeIt"),
    ("pages before live changes", "lib/wire/outbox.cc",
     "while (live_.empty() && !parts_.empty()", "while (!parts_.empty()",
     "unit_lib_wire", "OutboxTest.AnEndGoesBeforeTheNextBeginAndOutlivesIt"),
    ("a gap in the sequence is taken", "lib/wire/shard_ledger.cc",
     "if (seq != received_ + 1) return Verdict::kGap;", "",
     "unit_lib_wire", "ShardLedger.AcceptsTheNextSequenceOnly"),
    ("a batch of another term is taken, found by the model", "lib/wire/shard_ledger.cc",
     "if (header.store_epoch != grant_.store_epoch || header.term != grant_.term)", "if (false)",
     "unit_model", "Model.EveryOrderOfASmallWorldKeepsTheInvariants"),
    ("an account that is held is granted again", "lib/wire/lease_table.cc",
     "  if (state.holder.has_value()) return;\n  const auto claimed", "  const auto claimed",
     "unit_lib_wire", "LeaseTableTest.GrantsToTheFirstEligibleClaimOnly"),
    ("a late grant drops the positions of the next", "agent/account/account.cc",
     "return term <= grant.term() ||", "return term != 0 ||",
     "unit_sim", "Simulation.PositionsThatOvertakeTwoGrantsAreNotLost"),
    ("an answer to a snapshot that is no more", "agent/account/watcher.cc", "    rereads_.clear();\n", "",
     "unit_agent_account", "WatcherTest.WhatAnAbandonedSnapshotWantedIsNotSentWithinTheNext"),
    ("a channel that goes while gRPC still uses it", "agent/uplink/grpc_channel.cc", "    calls_->Wait();\n", "",
     "unit_endpoint_grpc", "GrpcStreams.NothingReachesTheLoopAfterItsChannel"),
    ("anchors without the newest", "lib/kube/watch_machine.cc", "if (!one.at_position || !order || *order > 0) break;", "if (!one.at_position || !order || *order > 0) continue;",
     "unit_lib_kube", "WatchMachineTest.AnchorsOfAPositionAreObjectsAsTheyAreThere"),
    ("a row that is not taken takes its batch with it", "endpoint/store/writer.cc", "if (OfTheRow(result.status))", "if (false)",
     "unit_endpoint_store", "Databases/WriterTest.ARowThatTheDatabaseWillNotTakeIsRefusedAloneAndTheRestLands/Postgres"),
    ("a transaction that outlives its connection", "lib/sql/postgres.cc",
     "    if (in_transaction_)\n      return absl::UnavailableError(\"PostgreSQL: the connection was lost in the transaction\");\n", "",
     "unit_lib_sql", "Databases/Server.ATransactionThatStandsStillIsEndedByTheServer/Postgres"),
    ("no cut of a Secret's values", "lib/json/object_view.cc",
     'rules.secret_data && (key == "data" || key == "stringData")', 'rules.secret_data && (key == "no" || key == "nothing")',
     "unit_lib_json", "ObjectView.SecretDataIsCutOnlyWhenTheRuleIsOn"),
    ("no cut of what kubectl applied last", "lib/json/object_view.cc",
     "      cut = true;\n      if (Once(walker, kSeenLastApplied))", "      if (Once(walker, kSeenLastApplied))",
     "unit_lib_json", "ObjectView.WhatIsAllCutLeavesAnEmptyObject"),
    ("the endpoint looks for no Secret's values", "endpoint/session/convert.cc",
     "rules.secret_data = secret && !keep_;", "rules.secret_data = secret && keep_;",
     "unit_endpoint_session", "HubTest.ASecretWithValuesIsRefusedAlone"),
    ("nor in pages", "endpoint/session/convert.cc",
     "const bool secret = known == nullptr || IsSecret(kind);", "const bool secret = known == nullptr;",
     "unit_endpoint_session", "HubSecretsTest.AValueInAPageIsRefusedAlone"),
    ("the endpoint takes what agents must cut", "endpoint/session/convert.cc",
     "} else if (!view->cuts.empty()) {", "} else if (secret && !view->cuts.empty()) {",
     "unit_endpoint_session", "HubSecretsTest.ALastAppliedAnnotationIsRefusedOfEveryKind"),
    ("an acknowledgement before the commit", "endpoint/store/writer.cc",
     "const absl::Status committed = transaction->Commit();", "const absl::Status committed;",
     "unit_endpoint_store", "Databases/WriterTest.WhatWasCommittedIsThereAfterReopening/Sqlite"),
    ("a rollout that starts although paused", "operator/rollout/plan.cc", "&& !spec.paused && !target.paused", "",
     "unit_operator_rollout", "RolloutPlan.PausedStartsNothingAndHoldsWhatIsThere"),
    ("a child's field that is not sent any more stays", "operator/model/intent.cc",
     "[kIntentAnnotation] = hash;", '[kIntentAnnotation] = "same";',
     "unit_operator_model", "Intent.AFieldThatIsNotSentAnyMoreIsNoticedByTheStamp"),
    ("a finalizer after the first remote write", "operator/controllers/account_controller.cc",
     "if (!account.meta.HasFinalizer(kFinalizer)) {", "if (!account.meta.HasFinalizer(kFinalizer) && !account.account_uid.empty()) {",
     "unit_operator_controllers", "AccountControllerTest.TheFinalizerIsStoredBeforeTheNameIsClaimed"),
    ("a name in a kubeconfig that leads to ourselves", "operator/controllers/cluster_pool.cc",
     "if (kube::ForbiddenAddress(one)) {", "if (false) {",
     "unit_operator_controllers", "ClusterPoolTest.ANameThatMovesToAForbiddenAddressIsRefused"),
    ("an installer that does not look which cluster it is in", "operator/controllers/installer.cc",
     "if (const absl::Status pinned = CheckPin(visit->cluster.get(), visit->account); !pinned.ok()) {",
     "if (const absl::Status pinned; !pinned.ok()) {",
     "unit_operator_controllers", "InstallationTest.AnotherClusterBehindTheAddressGetsNoWriteNeitherInstallNorCleanup"),
    ("a delete of whatever has the name", "operator/controllers/objects.cc",
     'conditions.uid = meta["uid"].asString();', "",
     "unit_operator_controllers", "InstallationTest.EveryDeleteNamesTheUidItMeans"),
    ("a stranger's object is taken over", "operator/controllers/objects.cc",
     "if (!ours.isNull() && owner != ours) {", "if (!ours.isNull() && owner != ours && false) {",
     "unit_operator_controllers", "InstallationTest.AForeignObjectOfOurNameIsRefusedAndUntouched"),
    ("a status computed from an old view", "operator/controllers/objects.cc",
     'object["metadata"]["resourceVersion"] = meta["resourceVersion"];', "",
     "unit_operator_controllers", "InstallationTest.WhatWasDecidedFromAnOldViewIsNotWritten"),
    ("a write without leadership", "operator/runtime/cluster_client.cc",
     "!options_.may_write()) {", "!options_.may_write() && false) {",
     "unit_operator_runtime", "ClusterClientTest.WithoutTheFenceNoWriteIsSentAndReadsAre"),
    ("a list that is not compared row by row", "endpoint/store/batch_writer_snapshot.cc",
     "if (listed->second != hash && listed->second != U128{}) ++survey.different;",
     "",
     "unit_endpoint_store", "Databases/AuditTest.WhatWasWantedAndNeverCameIsNotProven/Sqlite"),
    ("a running sum that nobody compares", "endpoint/store/batch_writer_snapshot.cc",
     "} else if (running.count != survey.count || running.sum != survey.sum) {",
     "} else if (false) {",
     "unit_endpoint_store", "Databases/AuditTest.ASumOrACountChangedByHandIsFoundAndRepaired/Sqlite"),
    ("what is missing from the rows proves them", "endpoint/store/batch_writer_snapshot.cc",
     "survey.missing = snapshot.comparable - found;",
     "survey.missing = 0;",
     "unit_endpoint_store", "Databases/AuditTest.WhatWasWantedAndNeverCameIsNotProven/Sqlite"),
    ("a row newer than the list is gone", "endpoint/store/batch_writer_snapshot.cc",
     "        ++survey.newer;\n        continue;\n",
     "        ++survey.newer;\n",
     "unit_endpoint_store", "Databases/AuditTest.WhatWasWrittenBetweenTheListsStartAndItsFirstItemIsNotDeleted/Sqlite"),
    ("a version written by hand stays", "endpoint/store/batch_writer.cc",
     "if (older && !Doubted(batch, *kind, object_key)) {", "if (older) {",
     "unit_endpoint_store", "Databases/AuditTest.ALaterVersionWrittenByHandIsTakenBack/Sqlite"),
    ("a proof outlives the doubt", "endpoint/store/batch_writer_snapshot.cc",
     "position.verified_ms = 0;  // what",
     "// what",
     "unit_endpoint_store", "Databases/AuditTest.ARowDeletedByHandIsFoundAndRepaired/Sqlite"),
    ("bodies are not hashed", "endpoint/store/scrub.cc",
     "if (base::Sha256Trunc128(body) != row.Number128(5)) return false;",
     "",
     "unit_endpoint_store", "Databases/AuditTest.ABodyChangedByHandIsFoundByItsHashAndRepaired/Sqlite"),
    ("an audit begins before its rows are hashed", "endpoint/session/hub_audits.cc",
     "if (audit == grant->audits.end() || !options_.scrub) {",
     "if (true) {",
     "unit_endpoint_session", "HubAuditsTest.AnAuditBeginsOnceTheBodiesOfItsRowsAreHashed"),
    ("lost commits are not audited", "endpoint/session/hub_grants.cc",
     "if (std::exchange(grant->audit_all, false)) Audit(",
     "if (false) Audit(",
     "unit_endpoint_session", "HubAuditsTest.ADatabaseThatLostCommitsIsAuditedWhole"),
    ("confirming deletes what is not held", "endpoint/store/batch_writer_snapshot.cc",
     '"WHERE kind = ? AND held <> 0"',
     '"WHERE kind = ?"',
     "unit_endpoint_store", "Databases/ConfirmTest.DeletesWhatIsStillHeldAndOnlyThat/Sqlite"),
    ("an old page brings confirmed rows back", "endpoint/store/batch_writer_snapshot.cc",
     "      change.resource_version = position->resource_version;\n",
     "",
     "unit_endpoint_store", "Databases/ConfirmTest.WhatIsOlderThanThePositionDoesNotBringThemBack/Sqlite"),
    ("no proof after a doubt", "agent/account/watcher_audit.cc",
     "audits_->Compared(verified, now());",
     "",
     "unit_sim", "AbsenceTest.RowsChangedByHandAreFoundByAnAuditAndRepaired"),
    ("no daily audit", "agent/account/audit_schedule.cc",
     "return proven + kDay - kDay / 10 + Within(kDay / 5);",
     "return proven + 100 * kDay;",
     "unit_sim", "AbsenceTest.RowsChangedByHandAreFoundWithinAboutADayWithoutAnOrder"),
    ("discovery alone says that a kind is gone", "lib/kube/absence.cc",
     'if (none.isNull() || !At(none, "items").empty() || version.empty()) return std::nullopt;',
     "",
     "unit_lib_kube", "Absence.ADefinitionThatIsThereProvesNothing"),
    ("the group of another server is judged", "lib/kube/absence.cc",
     'if (StringAt(spec, "group") == type.group && !At(spec, "service").isNull()) {',
     'if (StringAt(spec, "group").empty()) {',
     "unit_sim", "AbsenceTest.ADiscoveryThatLacksAKindDeletesNothing"),
    ("an audit looks like a list", "agent/account/watcher.h",
     "return machine_.live() ? kube::WatchState::kWatching : machine_.state();",
     "return machine_.state();",
     "unit_sim", "AbsenceTest.AnAuditDoesNotMakeAnAccountLookOutOfSync"),
    ("what waits to be committed is fresh", "agent/account/account.cc",
     "AgeOf(std::min(*watcher.heard(), outbox_->UnackedSince()), now)",
     "AgeOf(*watcher.heard(), now)",
     "unit_sim", "AbsenceTest.WhatTheWriterHoldsUpIsNotCalledFresh"),
    ("old rows of a lost agent are current", "endpoint/freshness/state.cc",
     "if (!facts.vouched && Older(facts.age_ms, watched ? kStaleWatched : kStaleUnwatched)) {",
     "if (watched && Older(facts.age_ms, kStaleWatched)) {",
     "unit_endpoint_freshness", "Freshness.WithoutAnAgentOrItsClusterItIsStaleAfterTwo"),
    ("states of the pass before are counted again", "endpoint/freshness/monitor.cc", "      totals_ = {};\n", "",
     "unit_endpoint_freshness", "MonitorTest.ACountBelongsToOnePassOnly"),
    ("an audit begins before what was found is marked", "endpoint/freshness/scrubber.cc",
     "if (page->damaged.empty()) return next();", "if (page->damaged.size() < 99) return next();",
     "unit_endpoint_freshness", "ScrubberTest.WhatWasFoundIsMarkedBeforeItIsDone"),
    ("Synced flaps", "operator/controllers/fleet_view.cc",
     "said.synced || (!is_new && before.synced && now - entry.synced_at < kGrace);",
     "said.synced;",
     "unit_operator_controllers", "FleetViewTest.LosingItCountsAfterAMinuteAndAShortLossIsNothing"),
]


def run(*command, **more):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, errors="replace", **more)


def copy_sources():
    """The copy's build stands where the product's own does, so that the compiler cache knows it; it is kept."""
    source = WORK / "source"
    for old in source.glob("*") if source.is_dir() else ():
        if old.is_dir() and old.name != "build":
            shutil.rmtree(old)
    for name in run("git", "ls-files", cwd=ROOT).stdout.splitlines():
        if not (ROOT / name).is_file():
            continue
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    return source


def fails(build, binary, test):
    done = run(build / "unit" / binary, f"--gtest_filter={test}", timeout=120)
    return "[  FAILED  ]" in done.stdout or done.returncode < 0, "[  PASSED  ] 1 test" in done.stdout


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    mutants = [mutant for mutant in MUTANTS if wanted in mutant[0] or wanted in mutant[1]]
    if not mutants:
        sys.exit(f"mutants: no name or file contains {wanted!r}")
    source = copy_sources()
    build = source / "build/dev"
    binaries = sorted({mutant[4] for mutant in mutants})
    for command in (["cmake", "--preset", "dev"], ["cmake", "--build", build, "-j2", "--target", *binaries]):
        done = run(*command, cwd=source)
        if done.returncode != 0:
            sys.exit(f"mutants: {' '.join(map(str, command[:2]))} failed\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    killed, survived = 0, 0
    for name, file, text, replacement, binary, test in mutants:
        path = source / file
        original = path.read_text()
        problem = ""
        if not fails(build, binary, test)[1]:
            problem = "the test does not pass without the mutant"
        elif original.count(text) != 1:
            problem = f"its text stands {original.count(text)} times in {file}"
        else:
            path.write_text(original.replace(text, replacement))
            done = run("cmake", "--build", build, "-j2", "--target", binary, cwd=source)
            if done.returncode != 0:
                problem = "it does not compile\n" + done.stdout[-1500:]
            elif not fails(build, binary, test)[0]:
                problem = f"{test} stays green"
            path.write_text(original)
            run("cmake", "--build", build, "-j2", "--target", binary, cwd=source)
        killed, survived = killed + (not problem), survived + bool(problem)
        print(f"mutants: {name}: " + (f"SURVIVED: {problem}" if problem else f"killed by {test}"), flush=True)
    print(f"{killed} passed, {survived} failed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
