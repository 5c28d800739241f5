#include <algorithm>
#include <utility>

#include "endpoint/session/hub.h"
#include "endpoint/session/hub_parts.h"
#include "endpoint/session/rescope.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"
#include "lib/wire/codec.h"

// The half of the Hub that grants accounts and takes what agents send of them.
namespace fairlead::endpoint {

namespace {

constexpr int kPositionsPerMessage = 200;
constexpr size_t kMostUnread = size_t{1} << 20;  // of positions, by an agent

// What an agent lists is held in memory until its end: whoever wants to list asks first.
template <typename Grant>
bool MayList(const v1::Payload& payload, const Grant& grant) {
  return std::all_of(payload.entries().begin(), payload.entries().end(),
                     [&](const v1::Entry& entry) {
                       return !entry.has_snapshot_page() ||
                              grant.admitted.contains(entry.snapshot_page().snapshot_id());
                     });
}

}  // namespace

void Hub::Carry(const wire::LeaseTable::Actions& actions) {
  using Kind = wire::LeaseTable::Action::Kind;
  for (const wire::LeaseTable::Action& action : actions) {
    switch (action.kind) {
      case Kind::kBegin:
        BeginTerm(action);
        break;
      case Kind::kRevoke:
        Revoke(action);
        break;
      case Kind::kRefuse:
        Refuse(action);
        break;
      case Kind::kOffer:
      case Kind::kLeave:
        if (options_.replicas) Release(action);
        break;
    }
  }
}

void Hub::Refuse(const wire::LeaseTable::Action& action) {
  const auto session = sessions_.find(action.session);
  if (session == sessions_.end()) return;
  v1::ControlDown message;
  message.mutable_claim_refused()->set_account_name(action.account_name);
  message.mutable_claim_refused()->set_reason(action.reason);
  message.mutable_claim_refused()->set_detail(action.detail);
  session->second->control->Send(std::move(message));
}

// Other replicas may have the account: at once, or, while its agent is silent, if one of them has
// an agent for it. What fails is made good by the fence and by this replica's death.
void Hub::Release(const wire::LeaseTable::Action& action) {
  using Kind = wire::LeaseTable::Action::Kind;
  const absl::Status ignored =
      writer_->Do([this, alive = std::weak_ptr(alive_), loop = loop_, action](store::Store& store) {
        const store::ShardKey key{action.account, 0};
        const bool offer = action.kind == Kind::kOffer;
        if (!offer) {
          store.Release(key, 0, store::Releasing::kAlways).IgnoreError();
          return store.StopWaiting(key).IgnoreError();
        }
        const auto released = store.Release(key, action.term, store::Releasing::kIfAnotherWaits);
        if (!released.ok() || !*released) return;
        loop->Post([this, alive, action] {
          if (!alive.lock()) return;
          const auto held = leases_.Holder(action.account);
          if (held && held->term == action.term)
            Carry(leases_.Restart(action.account, "BeatsStopped", now()));
        });
      });
  (void)ignored;
}

void Hub::OnFree(const std::vector<base::U128>& accounts) {
  for (const base::U128& account : accounts) Carry(leases_.Freed(account, now()));
}

void Hub::AskAgain() { OnFree(leases_.Elsewhere()); }

void Hub::CheckGrants() {
  std::vector<store::Held> held;
  for (const auto& [account, grant] : grants_) {
    const wire::ShardLedger& ledger = grant->ledger;
    held.push_back(
        {{account, 0}, ledger.grant().store_epoch, ledger.grant().term, ledger.committed()});
  }
  const absl::Status ignored =
      writer_->Do([this, alive = std::weak_ptr(alive_), loop = loop_, held](store::Store& store) {
        const auto lost = store.Lost(held);
        if (!lost.ok() || lost->empty()) return;
        loop->Post([this, alive, lost = *lost] {
          if (!alive.lock()) return;
          for (const store::Held& one : lost) {
            const auto grant = grants_.find(one.key.account);
            if (grant != grants_.end() && grant->second->ledger.grant().term == one.term)
              Break(one.key.account, "the database does not have it as it was left");
          }
        });
      });
  (void)ignored;
}

void Hub::BeginTerm(const wire::LeaseTable::Action& action) {
  const auto session = sessions_.find(action.session);
  if (session == sessions_.end()) return leases_.BeginFailed(action.account, action.attempt, now());
  std::vector<store::Seen> seen;
  for (const v1::ShardSeen& one : session->second->hello.seen()) {
    if (Number(one.account_uid()) == action.account)
      seen.push_back({one.store_epoch(), one.term(), one.seq()});
  }
  if (const auto own = seen_.find(action.account); own != seen_.end()) seen.push_back(own->second);
  const absl::Status queued =
      writer_->NewTerm({action.account, 0}, session->second->hello.instance_id(), std::move(seen),
                       [this, alive = std::weak_ptr(alive_), loop = loop_,
                        action](absl::StatusOr<store::Term> begun) {
                         loop->Post([this, alive, action, begun = std::move(begun)]() mutable {
                           if (alive.lock()) OnTerm(action, std::move(begun));
                         });
                       });
  if (!queued.ok()) leases_.BeginFailed(action.account, action.attempt, now());
}

void Hub::OnTerm(const wire::LeaseTable::Action& action, absl::StatusOr<store::Term> begun) {
  if (!begun.ok()) {
    log::Error("no term for a grant",
               {{"account", action.account_name}, {"error", begun.status()}});
    return leases_.BeginFailed(action.account, action.attempt, now());
  }
  if (begun->elsewhere) return leases_.BeginElsewhere(action.account, action.attempt);
  if (begun->lost_commits) {
    log::Warn("the store lost commits an agent has seen; its shard begins a new epoch",
              {{"account", action.account_name}});
    lost_commits_.insert(action.account);  // the next term will not know of it
  }
  if (Rescope(action, *begun)) return;
  if (leases_.Began(action.account, action.attempt, begun->state.term))
    SendGrant(action, *std::move(begun));
}

bool Hub::Rescope(const wire::LeaseTable::Action& action, const store::Term& term) {
  const auto account = accounts_.find(action.account);
  if (account == accounts_.end()) return false;
  store::Batch batch;
  for (auto& [kind, watches] : Rescoped(term.positions, ScopeOf(account->second.spec))) {
    batch.entries.emplace_back(
        store::Rescope{static_cast<uint32_t>(batch.kinds.size()), std::move(watches)});
    batch.kinds.push_back(std::move(kind));
  }
  if (batch.entries.empty()) return false;
  batch.shard = {action.account, 0};
  batch.epoch = term.state.epoch;
  batch.term = term.state.term;
  batch.seq = term.state.last_seq + 1;
  const absl::Status queued = writer_->Submit(
      std::move(batch),
      [this, alive = std::weak_ptr(alive_), loop = loop_, action](store::BatchResult result) {
        loop->Post([this, alive, action, result = std::move(result)] {
          if (!alive.lock()) return;
          if (!result.status.ok()) {
            log::Error("rows out of an account's scope could not be removed",
                       {{"account", action.account_name}, {"error", result.status}});
            return leases_.BeginFailed(action.account, action.attempt, now());
          }
          log::Info("rows fell out of the account's scope and are removed",
                    {{"account", action.account_name}, {"rows", result.deleted}});
          BeginTerm(action);  // from the positions as they are now
        });
      });
  if (!queued.ok()) leases_.BeginFailed(action.account, action.attempt, now());
  return true;
}

void Hub::SendGrant(const wire::LeaseTable::Action& action, store::Term term) {
  const store::ShardState& state = term.state;
  const auto session = sessions_.find(action.session);
  const auto account = accounts_.find(action.account);
  if (session == sessions_.end() || account == accounts_.end()) return;
  const registry::AccountSpec& spec = account->second.spec;
  wire::ShardLedger::Options ledger;
  ledger.credit_bytes = options_.shard_credit_bytes;
  DropGrant(action.account);
  grants_[action.account] = std::make_unique<Grant>(
      Grant{next_grant_++,
            action.account,
            action.session,
            wire::ShardLedger({state.epoch, state.term, state.last_seq}, ledger),
            {},
            spec.keep_secret_data,
            {spec.max_delete_percent, spec.max_delete_count},
            std::make_shared<store::ScopeFilter>(
                store::ScopeFilter{spec.omit_namespaces, spec.only_spinnaker_managed}),
            {},
            std::move(term.positions),
            0,
            lost_commits_.erase(action.account) > 0,
            now(),
            {},
            {},
            {}});
  AccountFreshness fresh = board_->Freshness(action.account);
  fresh.granted_at = now();
  fresh.reported = false;
  board_->SetFreshness(action.account, std::move(fresh));
  v1::ControlDown message;
  v1::Grant* grant = message.mutable_grant();
  grant->set_account_name(account->second.name);
  grant->set_account_uid(base::ToBytes(action.account));
  grant->set_store_epoch(state.epoch);
  grant->set_term(state.term);
  grant->set_last_seq(state.last_seq);
  *grant->mutable_scope() = ScopeOf(spec);
  grant->set_cut_rules_version(json::CutRules::kVersion);
  grant->set_pinned_cluster_uid(spec.pinned_cluster_uid);
  grant->set_kubeconfig_secret(spec.kubeconfig_secret);
  grant->set_prefix(true);
  session->second->control->Send(std::move(message));
  log::Info("granted", {{"account", account->second.name},
                        {"identity", session->second->peer.identity},
                        {"instance", session->second->hello.instance_id()},
                        {"term", state.term}});
  if (session->second->changes != nullptr)
    SendPositions(session->second.get(), grants_[action.account].get());
  Publish(action.account);
}

// Once in a grant's life: a Changes stream that ends is the session's end. There may be many: no
// more at a time than an agent on a slow line should have waiting, and Tick() goes on.
void Hub::SendPositions(Session* session, Grant* grant) {
  const std::vector<store::Position>& positions = grant->positions;
  size_t& next = grant->positions_told;
  untold_.insert(grant->account);
  do {
    if (session->changes->sender->unsent_bytes() >= kMostUnread) return;
    v1::ChangesDown message;
    v1::Positions* part = message.mutable_positions();
    part->set_account_uid(base::ToBytes(grant->account));
    part->set_store_epoch(grant->ledger.grant().store_epoch);
    part->set_term(grant->ledger.grant().term);
    for (int i = 0; i < kPositionsPerMessage && next < positions.size(); ++i) {
      const store::Position& position = positions[next++];
      v1::Position* to = part->add_positions();
      FillPosition(position, to);
      if (position.verified_ms == 0) continue;
      const int64_t age = loop_->clock().WallMs() - position.verified_ms;
      to->set_verified_age_ms(static_cast<uint64_t>(std::max<int64_t>(0, age)));
    }
    part->set_last(next == positions.size());
    session->changes->sender->Send(std::move(message));
  } while (next < positions.size());
  untold_.erase(grant->account);
  grant->positions.clear();
  if (std::exchange(grant->audit_all, false)) Audit(grant->account, "", "");
}

void Hub::SendMorePositions() {
  for (const base::U128& account : std::set(untold_)) {
    Grant* grant = grants_.at(account).get();
    SendPositions(sessions_.at(grant->session).get(), grant);
  }
}

void Hub::Revoke(const wire::LeaseTable::Action& action) {
  DropGrant(action.account);
  Publish(action.account);
  const auto session = sessions_.find(action.session);
  if (session == sessions_.end() || action.term == 0) return;
  v1::ControlDown message;
  message.mutable_revoke()->set_account_uid(base::ToBytes(action.account));
  message.mutable_revoke()->set_term(action.term);
  message.mutable_revoke()->set_reason(action.reason);
  session->second->control->Send(std::move(message));
}

void Hub::Break(const base::U128& account, const std::string& why) {
  const auto known = accounts_.find(account);
  log::Warn("grant begins anew",
            {{"account", known == accounts_.end() ? "" : known->second.name}, {"reason", why}});
  DropGrant(account);
  Carry(leases_.Restart(account, why, now()));
}

void Hub::DropGrant(const base::U128& account) {
  const auto grant = grants_.find(account);
  if (grant == grants_.end()) return;
  const uint64_t number = grant->second->number;
  const wire::ShardLedger& ledger = grant->second->ledger;
  seen_[account] = {ledger.grant().store_epoch, ledger.grant().term, ledger.committed()};
  untold_.erase(account);
  grants_.erase(grant);
  Admit(admission_.OwnerGone(number, now()));
}

// ------------------------------------------------------------------------------- changes

void Hub::OnBatch(Session* session, const v1::Batch& batch) {
  const base::U128 account = Number(batch.account_uid());
  const auto found = grants_.find(account);
  if (found == grants_.end() || found->second->session != session->id) return;
  Grant& grant = *found->second;
  using Verdict = wire::ShardLedger::Verdict;
  switch (grant.ledger.Offer({batch.store_epoch(), batch.term(), 0}, batch.seq(),
                             batch.payload().size())) {
    case Verdict::kAccept:
      break;
    case Verdict::kStale:
    case Verdict::kDuplicate:
      return;
    case Verdict::kGap:
      return Break(account, "a batch is missing");
    case Verdict::kOverrun:
      return Break(account, "more was sent than the credit allows");
  }
  v1::Payload payload;
  const absl::Status decoded =
      wire::DecodePayload(batch.codec(), batch.raw_bytes(), batch.payload(), &payload,
                          batch.prefixed() ? &grant.history : nullptr);
  if (!decoded.ok()) return Break(account, decoded.ToString());
  if (!MayList(payload, grant)) return Break(account, "a list came that was not admitted");
  store::Batch stored;
  stored.shard = {account, 0};
  stored.epoch = batch.store_epoch();
  stored.term = batch.term();
  stored.seq = batch.seq();
  stored.protection = grant.protection;
  stored.scope = grant.scope;
  stored.bytes = batch.raw_bytes() + 1024;
  std::vector<store::Refused> refused;
  ConvertPayload(payload, grant.keep_secret_data, &objects_, &grant.snapshots, &stored, &refused);
  Offered offered{account, grant.number, batch.seq(), std::move(refused), {}};
  if (const auto known = refusals_.find(account); known != refusals_.end()) {
    offered.refused_before = known->second.In(stored);
  }
  const absl::Status queued = writer_->Submit(
      std::move(stored), [this, alive = std::weak_ptr(alive_), loop = loop_,
                          offered = std::move(offered)](store::BatchResult result) mutable {
        loop->Post(
            [this, alive, offered = std::move(offered), result = std::move(result)]() mutable {
              if (!alive.lock()) return;
              offered.refused.insert(offered.refused.end(), result.refused.begin(),
                                     result.refused.end());
              OnCommitted(offered, result);
            });
      });
  if (!queued.ok()) Break(account, queued.ToString());
}

void Hub::OnCommitted(const Offered& batch, const store::BatchResult& result) {
  const auto found = grants_.find(batch.account);
  if (found == grants_.end() || found->second->number != batch.grant) return;
  if (!result.status.ok()) return Break(batch.account, result.status.ToString());
  Grant& grant = *found->second;
  grant.ledger.Committed(batch.seq);
  if (!batch.refused.empty() || !batch.refused_before.empty()) {
    refusals_[batch.account].Committed(batch.refused_before, batch.refused);
  }
  if (SenderOf(grant) == nullptr) return;
  SendAck(grant, batch);
  SendWants(grant, batch.seq, result.wants);
  for (const store::SnapshotOutcome& outcome : result.ended) OnSnapshotEnded(&grant, outcome);
}

void Hub::SendAck(const Grant& grant, const Offered& batch) {
  v1::ChangesDown message;
  v1::Ack* ack = message.mutable_ack();
  ack->set_account_uid(base::ToBytes(batch.account));
  ack->set_store_epoch(grant.ledger.grant().store_epoch);
  ack->set_term(grant.ledger.grant().term);
  ack->set_seq(batch.seq);
  ack->set_credit_bytes(grant.ledger.Credit(Load()));
  ack->set_flush_delay_ms(wire::FlushDelayMs(options_.flush_delay_ms, leases_.held(), Load()));
  for (const store::Refused& one : batch.refused) {
    v1::Refused* row = ack->add_refused();
    row->mutable_kind()->set_group(one.kind.group);
    row->mutable_kind()->set_resource(one.kind.resource);
    row->set_name_space(one.object.name_space);
    row->set_name(one.object.name);
    row->set_reason(one.reason);
    log::Warn("row refused", {{"resource", one.kind.resource},
                              {"namespace", one.object.name_space},
                              {"name", one.object.name},
                              {"reason", one.reason}});
  }
  SenderOf(grant)->Send(std::move(message));
}

// A batch may hold several pages of a snapshot: only the answer to the last says that all are
// answered, else the snapshot ends before the bodies that the others want are here.
void Hub::SendWants(const Grant& grant, uint64_t seq, const std::vector<store::Want>& wants) {
  std::map<base::U128, size_t> last;
  for (size_t i = 0; i < wants.size(); ++i) last[wants[i].snapshot_id] = i;
  for (size_t i = 0; i < wants.size(); ++i) {
    const store::Want& want = wants[i];
    const bool more = last.at(want.snapshot_id) != i;
    v1::ChangesDown down;
    down.mutable_want()->set_account_uid(base::ToBytes(grant.account));
    down.mutable_want()->set_term(grant.ledger.grant().term);
    down.mutable_want()->set_snapshot_id(base::ToBytes(want.snapshot_id));
    down.mutable_want()->set_through_seq(more ? seq - 1 : seq);
    for (const store::ObjectName& name : want.names) {
      v1::ObjectName* one = down.mutable_want()->add_names();
      one->set_name_space(name.name_space);
      one->set_name(name.name);
    }
    SenderOf(grant)->Send(std::move(down));
  }
}

}  // namespace fairlead::endpoint
