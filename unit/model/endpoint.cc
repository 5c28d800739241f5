#include "unit/model/endpoint.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/wire/codec.h"

namespace fairlead::model {

namespace {

// Silence is a step of its own; nothing else in the table depends on time.
constexpr base::Duration kLease = base::minutes(1);

wire::LeaseTable::Options LeaseOptions() {
  return {.cooldown = base::Duration::zero(),
          .late_tick = base::hours(1'000'000),
          .retry = base::Duration::zero()};
}

const std::string kAccountBytes = base::ToBytes(kAccount);

}  // namespace

void Endpoint::Start() {
  up_ = true;
  paused_ = false;
  ++starts_;
  leases_.emplace(LeaseOptions());
  admission_.emplace(wire::SnapshotAdmission::Options{.tokens = 1});
  Carry(leases_->PutAccount({kAccount, "account", "", {"agent"}}, now_));
}

void Endpoint::Crash() {
  up_ = paused_ = false;
  leases_.reset();
  admission_.reset();
  sessions_.clear();
  grant_.reset();
  attempt_ = 0;
  seen_.reset();
  writer_ = {};
  jobs_.clear();
  answers_.clear();
  down_.clear();
}

// ---- Sessions: Hub.

Endpoint::SessionId Endpoint::Open(int agent, const std::optional<v1::ShardSeen>& seen) {
  const SessionId id = next_session_++;
  Session& session = sessions_[id];
  session.agent = agent;
  if (seen) session.seen.push_back({seen->store_epoch(), seen->term(), seen->seq()});
  leases_->OpenSession(id, "agent", kLease, now_);
  Carry(leases_->AddClaims(id, {{"account", "cluster"}}, now_));
  return id;
}

void Endpoint::Close(SessionId session) {
  sessions_.erase(session);
  if (grant_ && grant_->session == session) DropGrant();
  Carry(leases_->CloseSession(session, now_));
}

void Endpoint::Silence(SessionId session) {
  sessions_.at(session).silent = true;
  now_ += 2 * kLease;
  for (const auto& [id, one] : sessions_) {
    if (!one.silent) leases_->Heard(id, now_);
  }
  Carry(leases_->Tick(now_));
}

void Endpoint::Heard(SessionId session) {
  sessions_.at(session).silent = false;
  leases_->Heard(session, now_);
}

bool Endpoint::WantsTick(const Rivals& rivals) const {
  if (!up_ || leases_->Holder(kAccount) || leases_->Standbys(kAccount, now_) == 0) return false;
  return std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& one) {
    return !one.second.silent && MayTakeTerm(rivals, one.second.agent);
  });
}

void Endpoint::Tick() { Carry(leases_->Tick(now_)); }

bool Endpoint::Listens() const {
  return std::any_of(sessions_.begin(), sessions_.end(),
                     [](const auto& one) { return !one.second.silent; });
}

// ---- Grants: hub_grants.cc.

void Endpoint::Carry(const wire::LeaseTable::Actions& actions) {
  using Kind = wire::LeaseTable::Action::Kind;
  for (const wire::LeaseTable::Action& action : actions) {
    if (action.kind == Kind::kBegin) {
      Job job;
      job.session = action.session;
      job.attempt = attempt_ = action.attempt;
      job.agent = sessions_.at(action.session).agent;
      job.seen = sessions_.at(action.session).seen;
      if (seen_) job.seen.push_back(*seen_);
      jobs_.push_back(std::move(job));
    } else if (action.kind == Kind::kRevoke) {
      DropGrant();
      if (action.term == 0 || !sessions_.contains(action.session)) continue;
      Control(action.session)->mutable_revoke()->set_term(action.term);
    }
  }
}

void Endpoint::Break(const std::string& why) {
  DropGrant();
  Carry(leases_->Restart(kAccount, why, now_));
}

void Endpoint::DropGrant() {
  if (!grant_) return;
  const uint64_t number = grant_->number;
  const wire::ShardLedger& ledger = grant_->ledger;
  seen_ = {ledger.grant().store_epoch, ledger.grant().term, ledger.committed()};
  grant_.reset();
  Admit(admission_->OwnerGone(number, now_));
}

void Endpoint::SendGrant(const AnswerOf& answer) {
  const store::ShardState& state = answer.term->state;
  if (!sessions_.contains(answer.job->session)) return;
  DropGrant();
  grant_.emplace(Grant{
      next_grant_++,
      answer.job->session,
      wire::ShardLedger({state.epoch, state.term, state.last_seq}, wire::ShardLedger::Options{}),
      {}});
  v1::Grant* grant = Control(answer.job->session)->mutable_grant();
  grant->set_account_uid(kAccountBytes);
  grant->set_store_epoch(state.epoch);
  grant->set_term(state.term);
  grant->set_last_seq(state.last_seq);
  v1::Positions* positions = Changes(answer.job->session)->mutable_positions();
  positions->set_term(state.term);
  positions->set_last(true);
  for (const store::Position& from : answer.term->positions) {
    endpoint::FillPosition(from, positions->add_positions());
  }
}

void Endpoint::OnBatch(SessionId session, const v1::Batch& batch) {
  if (!grant_ || grant_->session != session) return;
  using Verdict = wire::ShardLedger::Verdict;
  switch (grant_->ledger.Offer({batch.store_epoch(), batch.term(), 0}, batch.seq(),
                               batch.payload().size())) {
    case Verdict::kAccept:
      break;
    case Verdict::kStale:
    case Verdict::kDuplicate:
      return;
    case Verdict::kGap:
    case Verdict::kOverrun:
      return Break("a batch is missing, or too much came");
  }
  v1::Payload payload;
  const absl::Status decoded =
      wire::DecodePayload(batch.codec(), batch.raw_bytes(), batch.payload(), &payload);
  FAIRLEAD_CHECK(decoded.ok());
  Job job;
  job.grant = grant_->number;
  job.content = std::hash<std::string>()(batch.payload());
  job.batch.emplace();
  job.batch->shard = {kAccount, 0};
  job.batch->epoch = batch.store_epoch();
  job.batch->term = batch.term();
  job.batch->seq = batch.seq();
  std::vector<store::Refused> refused;
  thread_local json::ObjectReader reader;
  endpoint::ConvertPayload(payload, false, &reader, &grant_->snapshots, &*job.batch, &refused);
  FAIRLEAD_CHECK(refused.empty());
  jobs_.push_back(std::move(job));
}

void Endpoint::OnCommitted(const AnswerOf& answer) {
  if (!grant_ || grant_->number != answer.job->grant) return;
  if (!answer.result.status.ok()) return Break(answer.result.status.ToString());
  const uint64_t seq = answer.job->batch->seq;
  grant_->ledger.Committed(seq);
  v1::Ack* ack = Changes(grant_->session)->mutable_ack();
  ack->set_store_epoch(grant_->ledger.grant().store_epoch);
  ack->set_term(grant_->ledger.grant().term);
  ack->set_seq(seq);
  ack->set_credit_bytes(grant_->ledger.Credit(0));
  for (size_t i = 0; i < answer.result.wants.size(); ++i) {
    const store::Want& want = answer.result.wants[i];
    v1::Want* down = Changes(grant_->session)->mutable_want();
    down->set_term(grant_->ledger.grant().term);
    down->set_snapshot_id(base::ToBytes(want.snapshot_id));
    down->set_through_seq(i + 1 < answer.result.wants.size() ? seq - 1 : seq);
    for (const store::ObjectName& name : want.names) down->add_names()->set_name(name.name);
  }
  const uint64_t number = grant_->number;
  for (const store::SnapshotOutcome& outcome : answer.result.ended) {
    Admit(admission_->Done({number, base::ToBytes(outcome.snapshot_id)}, now_));
  }
}

void Endpoint::OnAsk(SessionId session, const v1::SnapshotAsk& ask) {
  if (!grant_ || grant_->session != session || grant_->ledger.grant().term != ask.term()) return;
  Admit(admission_->Ask({grant_->number, ask.snapshot_id()}, now_));
}

void Endpoint::Admit(const std::vector<wire::SnapshotAdmission::Ticket>& tickets) {
  for (const auto& ticket : tickets) {
    if (!grant_ || grant_->number != ticket.owner) continue;
    v1::SnapshotAdmit* admit = Changes(grant_->session)->mutable_snapshot_admit();
    admit->set_term(grant_->ledger.grant().term);
    admit->set_snapshot_id(ticket.snapshot_id);
  }
}

void Endpoint::OnTerm(const AnswerOf& answer) {
  const uint64_t attempt = answer.job->attempt;
  if (!answer.term) return leases_->BeginFailed(kAccount, attempt, now_);
  if (leases_->Began(kAccount, attempt, answer.term->state.term)) SendGrant(answer);
}

void Endpoint::CheckGrants() {
  if (!grant_) return;
  const wire::ShardLedger& ledger = grant_->ledger;
  Job job;
  job.held = {ledger.grant().store_epoch, ledger.grant().term, ledger.committed()};
  jobs_.push_back(std::move(job));
}

void Endpoint::TakeAnswer() {
  const AnswerOf answer = std::move(answers_.front());
  answers_.pop_front();
  if (answer.doubt) return CheckGrants();
  if (answer.job->batch) return OnCommitted(answer);
  if (!answer.job->held) return OnTerm(answer);
  const bool same = grant_ && grant_->ledger.grant().term == answer.job->held->term;
  if (answer.lost && same) Break("the database does not have it as it was left");
}

// ---- The database: WriterThread, Writer and Store.

std::optional<Endpoint::Work> Endpoint::DoWork(Database* database, bool in_doubt,
                                               const Rivals& rivals) {
  Job& job = jobs_.front();
  if (job.landed) {
    Resolve(&job, database);
    return std::nullopt;
  }
  if (job.batch) return Write(&job, database, in_doubt);
  if (job.held) {
    AnswerOf answer;
    answer.lost = !database->Has(*job.held);
    answer.job = std::make_shared<const Job>(std::move(job));
    jobs_.pop_front();
    answers_.push_back(std::move(answer));
    return std::nullopt;
  }
  if (!job.read) {
    writer_ = {};  // WriterThread::NewTerm()
    job.read = database->shard();
    return std::nullopt;
  }
  std::optional<Work> done;
  AnswerOf answer;
  store::Term term;
  if (MayTakeTerm(rivals, job.agent) &&
      database->TakeTerm(*job.read, job.seen, replica_, job.agent, &term)) {
    done.emplace();
    done->replica = replica_;
    done->seen = job.seen;
    done->agent = job.agent;
    done->term = term;
    database->Print(&done->database);
    answer.term = std::move(term);
  }
  answer.job = std::make_shared<const Job>(std::move(job));
  jobs_.pop_front();
  answers_.push_back(std::move(answer));
  return done;
}

std::optional<Endpoint::Work> Endpoint::Write(Job* job, Database* database, bool in_doubt) {
  AnswerOf answer;
  answer.result = database->Write(*job->batch, &writer_);
  Work done;
  done.replica = replica_;
  done.batch = job->batch;
  done.result = answer.result;
  done.writer = (static_cast<uint64_t>(replica_ + 1) * 100 + starts_) * 1000 + job->grant;
  database->Print(&done.database);
  if (in_doubt && answer.result.status.ok()) {
    job->landed = std::move(answer.result);
    return done;
  }
  answer.job = std::make_shared<const Job>(std::move(*job));
  jobs_.pop_front();
  answers_.push_back(std::move(answer));
  return done;
}

// Writer::Commit(): whether it landed is read from the shard's row; if that says no, the batch is
// given again.
void Endpoint::Resolve(Job* job, Database* database) {
  AnswerOf answer;
  answer.result = *std::exchange(job->landed, std::nullopt);
  const store::ShardState& shard = database->shard();
  if (shard.term != job->batch->term || shard.last_seq < job->batch->seq) return;
  answer.job = std::make_shared<const Job>(std::move(*job));
  jobs_.pop_front();
  answers_.push_back(std::move(answer));
}

v1::ControlDown* Endpoint::Control(SessionId session) {
  down_.push_back({session, v1::ControlDown()});
  return &std::get<v1::ControlDown>(down_.back().message);
}

v1::ChangesDown* Endpoint::Changes(SessionId session) {
  down_.push_back({session, v1::ChangesDown()});
  return &std::get<v1::ChangesDown>(down_.back().message);
}

void Endpoint::Print(std::string* out) const {
  out->append(base::StrCat(up_ ? "up" : "down", paused_ ? " paused" : ""));
  if (!up_) return;
  const auto held = leases_->Holder(kAccount);
  if (held) out->append(base::StrCat(" holder ", held->session, ".", held->term));
  for (const auto& [id, session] : sessions_) {
    out->append(base::StrCat(" session ", id, session.silent ? " silent" : ""));
    for (const store::Seen& seen : session.seen) {
      out->append(base::StrCat(seen.epoch, ".", seen.term, ".", seen.seq));
    }
  }
  if (grant_) {
    const wire::ShardLedger::Grant& grant = grant_->ledger.grant();
    out->append(base::StrCat(" grant ", grant_->number, ".", grant_->session, " e",
                             grant.store_epoch, "t", grant.term, "s", grant.last_seq, " ",
                             grant_->ledger.received(), ".", grant_->ledger.committed(), " adm ",
                             admission_->admitted(), ".", admission_->waiting()));
  }
  for (const auto& [id, snapshot] : writer_.snapshots) {
    out->append(
        base::StrCat(" snapshot ", base::ToBytes(id), snapshot.history, ".", snapshot.begin_seq));
    for (const std::string& name : snapshot.seen) out->append(name);
  }
  const auto print = [&](const Job& job) {
    if (job.batch) {
      out->append(base::StrCat(" batch ", job.batch->epoch, ".", job.batch->term, ".",
                               job.batch->seq, "g", job.grant, ".", job.content,
                               job.landed ? "?" : ""));
    } else if (job.held) {
      out->append(
          base::StrCat(" check ", job.held->epoch, ".", job.held->term, ".", job.held->seq));
    } else {
      out->append(base::StrCat(" term for ", job.session, job.attempt == attempt_ ? "" : " old"));
      if (job.read) out->append(base::StrCat(" read ", job.read->epoch, ".", job.read->term));
    }
  };
  for (const Job& job : jobs_) print(job);
  for (const AnswerOf& answer : answers_) {
    out->append(answer.doubt ? " doubt" : answer.lost ? " lost" : " answer");
    if (answer.doubt) continue;
    print(*answer.job);
    out->append(answer.result.status.ok() ? "" : " failed");
    for (const store::Want& want : answer.result.wants) {
      for (const store::ObjectName& name : want.names) out->append(name.name);
    }
    if (answer.term) {
      out->append(base::StrCat(" term ", answer.term->state.epoch, ".", answer.term->state.term,
                               ".", answer.term->state.last_seq));
      for (const store::Position& one : answer.term->positions) {
        out->append(base::StrCat(" at ", one.history, ".", one.resource_version));
      }
    }
  }
  if (seen_) out->append(base::StrCat(" seen ", seen_->epoch, ".", seen_->term, ".", seen_->seq));
}

}  // namespace fairlead::model
