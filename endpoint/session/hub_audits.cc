#include <algorithm>
#include <utility>

#include "endpoint/session/hub.h"
#include "endpoint/session/hub_parts.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"

// The part of the Hub that admits snapshots, has rows proven, and keeps what agents say of
// freshness.
namespace fairlead::endpoint {

namespace {

constexpr int kMostKindStates = 50'000;  // kinds times namespaces
constexpr size_t kMostDetail = 1024;     // bytes

}  // namespace

wire::StreamSender<v1::ChangesDown>* Hub::SenderOf(const Grant& grant) {
  const auto session = sessions_.find(grant.session);
  if (session == sessions_.end() || session->second->changes == nullptr) return nullptr;
  return session->second->changes->sender.get();
}

void Hub::OnAsk(Session* session, const v1::SnapshotAsk& ask) {
  const auto grant = grants_.find(Number(ask.account_uid()));
  if (grant == grants_.end() || grant->second->session != session->id ||
      grant->second->ledger.grant().term != ask.term() || ask.snapshot_id().size() != 16) {
    return;
  }
  constexpr size_t kMostAudits = 4096;
  log::Info("snapshot asked for", {{"account", accounts_[grant->first].name},
                                   {"resource", ask.kind().resource()},
                                   {"reason", ask.reason()}});
  if (ask.reason() == "Audit" && grant->second->audits.size() < kMostAudits) {
    grant->second->audits[ask.snapshot_id()] = ask;
  }
  Admit(admission_.Ask({grant->second->number, ask.snapshot_id()}, now()));
}

void Hub::Admit(const std::vector<wire::SnapshotAdmission::Ticket>& tickets) {
  for (const auto& ticket : tickets) {
    for (const auto& [account, grant] : grants_) {
      if (grant->number == ticket.owner) AdmitOne(account, grant.get(), ticket.snapshot_id);
    }
  }
}

void Hub::AdmitOne(const base::U128& account, Grant* grant, const std::string& snapshot_id) {
  const auto audit = grant->audits.find(snapshot_id);
  if (audit == grant->audits.end() || !options_.scrub) {
    return SendAdmit(account, grant->number, snapshot_id);
  }
  const v1::SnapshotAsk& ask = audit->second;
  options_.scrub({{account, 0}, ask.kind().group(), ask.kind().resource(), ask.watch(), {}},
                 [this, alive = std::weak_ptr(alive_), loop = loop_, account,
                  number = grant->number, snapshot_id] {
                   loop->Post([this, alive, account, number, snapshot_id] {
                     if (alive.lock()) SendAdmit(account, number, snapshot_id);
                   });
                 });
}

void Hub::SendAdmit(const base::U128& account, uint64_t number, const std::string& snapshot_id) {
  const auto grant = grants_.find(account);
  if (grant == grants_.end() || grant->second->number != number) return;
  wire::StreamSender<v1::ChangesDown>* sender = SenderOf(*grant->second);
  if (sender == nullptr) return;
  v1::ChangesDown message;
  message.mutable_snapshot_admit()->set_account_uid(base::ToBytes(account));
  message.mutable_snapshot_admit()->set_term(grant->second->ledger.grant().term);
  message.mutable_snapshot_admit()->set_snapshot_id(snapshot_id);
  sender->Send(std::move(message));
  grant->second->admitted.insert(snapshot_id);
}

void Hub::OnSnapshotEnded(Grant* grant, const store::SnapshotOutcome& outcome) {
  const std::string id = base::ToBytes(outcome.snapshot_id);
  const std::string& account = accounts_[grant->account].name;
  if (outcome.held > 0) {
    log::Warn("deletions are held by the account's protection",
              {{"account", account}, {"resource", outcome.kind.resource}, {"rows", outcome.held}});
  }
  if (!outcome.verified) {
    log::Warn("a list proved nothing of the rows; an audit follows",
              {{"account", account},
               {"resource", outcome.kind.resource},
               {"reason", outcome.doubt},
               {"audit", grant->audits.contains(id)}});
  }
  grant->audits.erase(id);
  grant->admitted.erase(id);
  if (const auto refusals = refusals_.find(grant->account);
      outcome.verified && refusals != refusals_.end()) {
    refusals->second.Proven(outcome.kind);
  }
  if (wire::StreamSender<v1::ChangesDown>* sender = SenderOf(*grant)) {
    v1::ChangesDown message;
    message.mutable_snapshot_done()->set_account_uid(base::ToBytes(grant->account));
    message.mutable_snapshot_done()->set_term(grant->ledger.grant().term);
    message.mutable_snapshot_done()->set_snapshot_id(id);
    message.mutable_snapshot_done()->set_verified(outcome.verified);
    sender->Send(std::move(message));
  }
  Admit(admission_.Done({grant->number, id}, now()));
}

bool Hub::Audit(const base::U128& uid, const std::string& group, const std::string& resource) {
  const auto grant = grants_.find(uid);
  if (grant == grants_.end()) return false;
  wire::StreamSender<v1::ChangesDown>* sender = SenderOf(*grant->second);
  if (sender == nullptr) return false;
  v1::ChangesDown message;
  message.mutable_audit_order()->set_account_uid(base::ToBytes(uid));
  message.mutable_audit_order()->set_term(grant->second->ledger.grant().term);
  message.mutable_audit_order()->set_group(group);
  message.mutable_audit_order()->set_resource(resource);
  sender->Send(std::move(message));
  return true;
}

void Hub::Fenced(const base::U128& uid, const std::string& why) {
  if (grants_.contains(uid)) Break(uid, why);
}

// ------------------------------------------------------------------------------- freshness

void Hub::OnStatus(Session* session, const v1::AccountStatus& status) {
  const auto found = grants_.find(Number(status.account_uid()));
  if (found == grants_.end() || found->second->session != session->id) return;
  if (status.kinds_size() > kMostKindStates) return CloseSession(session->id, "too many kinds");
  found->second->status = status;
  if (status.detail().size() > kMostDetail) {
    found->second->status->set_detail(status.detail().substr(0, kMostDetail));
  }
  AccountFreshness fresh = board_->Freshness(found->first);
  fresh.reported = true;
  fresh.reported_at = now();
  fresh.fresh_ms.reset();
  if (status.has_fresh_ms()) fresh.fresh_ms = status.fresh_ms();
  fresh.watches.clear();
  for (const v1::KindState& kind : status.kinds()) {
    AccountFreshness::Watch& one = fresh.watches.emplace_back();
    one = {kind.group(), kind.resource(), kind.watch(), kind.state(), kind.detail(), {}};
    if (kind.has_fresh_ms()) one.fresh_ms = kind.fresh_ms();
  }
  board_->SetFreshness(found->first, std::move(fresh));
  Publish(found->first);
}

// What the cluster refuses or does not have is not what an account waits for.
bool Hub::Synced(const Grant& grant) const {
  if (!grant.status || grant.status->state() != "Running") return false;
  return std::all_of(grant.status->kinds().begin(), grant.status->kinds().end(),
                     [](const v1::KindState& kind) {
                       return kind.state() == kSaysWatching || kind.state() == kSaysForbidden ||
                              kind.state() == kSaysMissing || kind.state() == kSaysUnwatched;
                     });
}

}  // namespace fairlead::endpoint
