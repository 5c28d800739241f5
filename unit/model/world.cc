#include "unit/model/world.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/base/strings.h"

// That something happens. What can is in world_steps.cc, what must hold in invariants.cc.
namespace fairlead::model {

using Kind = Step::Kind;

namespace {

constexpr size_t kMostLost = 3;

}  // namespace

World::World(const Bounds& bounds, std::vector<Endpoint::Work>* works)
    : left_(bounds), works_(works) {
  for (int i = 0; i < bounds.agents; ++i) agents_.emplace_back(Agent(i, bounds.agent));
  for (int i = 0; i < bounds.replicas; ++i) replicas_.emplace_back(Endpoint(i));
  for (const char one : bounds.written) api_.Change().Write(one);
  if (!bounds.synced) return;
  for (;;) {
    std::vector<Step> steps = Steps();
    std::erase_if(steps, [](const Step& step) { return step.outside(); });
    if (steps.empty()) break;
    const std::string broken = Take(steps.front());
    FAIRLEAD_CHECK(broken.empty());
  }
}

World::Link* World::LinkOf(int agent) {
  return const_cast<Link*>(std::as_const(*this).LinkOf(agent));
}

const World::Link* World::LinkOf(int agent) const {
  const auto found = std::find_if(links_.begin(), links_.end(), [&](const Link& link) {
    return link.agent == agent && !link.cut;
  });
  return found == links_.end() ? nullptr : &*found;
}

std::string World::Take(const Step& step) {
  std::string broken;
  if (step.outside()) {
    broken = TakeOutside(step);
  } else if (step.kind >= Kind::kWork || step.kind == Kind::kEndpointStart ||
             step.kind == Kind::kResume) {
    broken = TakeEndpoint(step);
  } else if (step.kind >= Kind::kUp) {
    TakeLink(step);
  } else {
    TakeAgent(step);
  }
  Carry();
  if (frozen_in_ && database_->position() && database_->position()->history > *frozen_in_) {
    frozen_in_.reset();
  }
  return broken.empty() ? CheckSeen() : broken;
}

std::string World::TakeOutside(const Step& step) {
  const auto who = static_cast<size_t>(step.who);
  switch (step.kind) {
    case Kind::kPut:
      --left_.writes;
      api_.Change().Put(left_.objects.substr(who, 1));
      break;
    case Kind::kDelete:
      --left_.writes;
      api_.Change().Delete(left_.objects.substr(who, 1));
      break;
    case Kind::kScript:
      api_.Change().Write(left_.script.front());
      left_.script.erase(0, 1);
      break;
    case Kind::kCompact:
      --left_.compactions;
      api_.Change().Compact();
      break;
    case Kind::kAudit:
      --left_.audits;
      agents_[who].Change().Audit(*api_);
      break;
    case Kind::kApiCut:
      --left_.api_cuts;
      agents_[who].Change().LoseApiServer(*api_);
      break;
    case Kind::kApiRestore:
      --left_.api_restores;
      api_.Change().Restore(who);
      frozen_in_ = database_->position() ? database_->position()->history : 1;
      for (Part<Agent>& agent : agents_) agent.Change().LoseApiServer(*api_);
      break;
    case Kind::kDatabaseLoss:
      --left_.database_losses;
      LoseCommits(who);
      break;
    case Kind::kWorkInDoubt:
      --left_.doubts;
      return Work(step.who, /*in_doubt=*/true);
    default:
      TakeTrouble(step);
  }
  return "";
}

// Of processes and connections.
void World::TakeTrouble(const Step& step) {
  const auto who = static_cast<size_t>(step.who);
  switch (step.kind) {
    case Kind::kAgentCrash:
      --left_.agent_crashes;
      DropAgentEnd(step.who);
      agents_[who].Change().Crash();
      break;
    case Kind::kEndpointCrash:
      --left_.endpoint_crashes;
      for (Link& link : links_) {
        if (link.replica == step.who && !link.cut) DropAgentEnd(link.agent);
      }
      std::erase_if(links_, [&](const Link& link) { return link.replica == step.who; });
      replicas_[who].Change().Crash();
      break;
    case Kind::kPause:
      --left_.pauses;
      replicas_[who].Change().SetPaused(true);
      break;
    case Kind::kCut:
      --left_.cuts;
      DropAgentEnd(step.who);
      break;
    case Kind::kSilence:
      --left_.silences;
      replicas_[static_cast<size_t>(links_[who].replica)].Change().Silence(links_[who].session);
      break;
    default:
      FAIRLEAD_CHECK(false);
  }
}

std::string World::TakeEndpoint(const Step& step) {
  Endpoint& replica = replicas_[static_cast<size_t>(step.who)].Change();
  switch (step.kind) {
    case Kind::kEndpointStart:
      replica.Start();
      break;
    case Kind::kResume:
      replica.SetPaused(false);
      break;
    case Kind::kWork:
      return Work(step.who, /*in_doubt=*/false);
    case Kind::kTakeAnswer:
      replica.TakeAnswer();
      break;
    case Kind::kTick:
      replica.Tick();
      break;
    default:
      FAIRLEAD_CHECK(false);
  }
  return "";
}

void World::TakeAgent(const Step& step) {
  Agent& agent = agents_[static_cast<size_t>(step.who)].Change();
  switch (step.kind) {
    case Kind::kAgentStart:
      return agent.Start();
    case Kind::kConnect: {
      Link link;
      link.agent = step.who;
      link.replica = step.which;
      link.session =
          replicas_[static_cast<size_t>(step.which)].Change().Open(step.who, agent.seen());
      links_.push_back(std::move(link));
      return;
    }
    case Kind::kNotice:
      return DropAgentEnd(step.who);
    case Kind::kEvent:
      return agent.Event(*api_);
    case Kind::kPage:
      return agent.Page(*api_);
    case Kind::kReadWanted:
      return agent.ReadWanted(*api_);
    case Kind::kAnswer:
      return agent.Answer(*api_);
    case Kind::kDrain: {
      auto batch = agent.Drain();
      Link* link = LinkOf(step.who);
      if (!batch || link == nullptr) return;
      v1::ChangesUp up;
      *up.mutable_batch() = *std::move(batch);
      link->up.emplace_back(std::move(up));
      return;
    }
    default:
      FAIRLEAD_CHECK(false);
  }
}

void World::TakeLink(const Step& step) {
  Link& link = links_[static_cast<size_t>(step.who)];
  Endpoint& replica = replicas_[static_cast<size_t>(link.replica)].Change();
  switch (step.kind) {
    case Kind::kUp: {
      const auto message = std::move(link.up.front().value);
      link.up.pop_front();
      replica.Heard(link.session);
      if (message->has_batch()) return replica.OnBatch(link.session, message->batch());
      return replica.OnAsk(link.session, message->snapshot_ask());
    }
    case Kind::kClose:
      replica.Close(link.session);
      links_.erase(links_.begin() + step.who);
      return;
    case Kind::kControlDown:
      return DeliverControl(&link);
    case Kind::kChangesDown:
      return DeliverChanges(&link);
    case Kind::kBeat:
      return replica.Heard(link.session);
    default:
      FAIRLEAD_CHECK(false);
  }
}

void World::DeliverControl(Link* link) {
  const auto message = std::move(link->control.front().value);
  link->control.pop_front();
  Agent& agent = agents_[static_cast<size_t>(link->agent)].Change();
  if (message->has_grant()) return agent.OnGrant(message->grant(), *api_);
  agent.OnRevoke(message->revoke());
}

void World::DeliverChanges(Link* link) {
  const auto message = std::move(link->changes.front().value);
  link->changes.pop_front();
  Agent& agent = agents_[static_cast<size_t>(link->agent)].Change();
  if (message->has_ack()) return agent.OnAck(message->ack());
  if (message->has_positions()) return agent.OnPositions(message->positions(), *api_);
  if (message->has_want()) return agent.OnWant(message->want(), *api_);
  agent.OnAdmit(message->snapshot_admit(), *api_);
}

void World::Carry() {
  for (int i = 0; i < static_cast<int>(agents_.size()); ++i) {
    Part<Agent>& agent = agents_[static_cast<size_t>(i)];
    if (!agent->HasAsks()) continue;
    for (v1::SnapshotAsk& ask : agent.Change().TakeAsks()) {
      Link* link = LinkOf(i);
      if (link == nullptr) continue;
      v1::ChangesUp up;
      *up.mutable_snapshot_ask() = std::move(ask);
      link->up.emplace_back(std::move(up));
    }
  }
  for (int i = 0; i < static_cast<int>(replicas_.size()); ++i) {
    Part<Endpoint>& replica = replicas_[static_cast<size_t>(i)];
    if (!replica->HasDown()) continue;
    for (Endpoint::Down& down : replica.Change().TakeDown()) {
      const auto link = std::find_if(links_.begin(), links_.end(), [&](const Link& one) {
        return one.replica == i && one.session == down.session && !one.cut;
      });
      if (link == links_.end()) continue;
      if (auto* control = std::get_if<v1::ControlDown>(&down.message)) {
        link->control.emplace_back(std::move(*control));
      } else {
        link->changes.emplace_back(std::move(std::get<v1::ChangesDown>(down.message)));
      }
    }
  }
}

void World::DropAgentEnd(int agent) {
  if (Link* link = LinkOf(agent)) {
    link->cut = true;
    link->control.clear();
    link->changes.clear();
  }
  agents_[static_cast<size_t>(agent)].Change().OnLost();
}

std::string World::Work(int replica, bool in_doubt) {
  const Part<Database> before = database_;
  const Endpoint::Rivals rivals = RivalsOf(replica);
  Database after = *database_;
  const auto work =
      replicas_[static_cast<size_t>(replica)].Change().DoWork(&after, in_doubt, rivals);
  if (!work) return "";
  if (works_ != nullptr) works_->push_back(*work);
  if (work->batch && !work->result.status.ok()) return "";
  if (left_.database_losses > 0) {
    past_.push_back(before);
    if (past_.size() > kMostLost) past_.pop_front();
  }
  database_.Change() = std::move(after);
  return work->batch ? CheckCommit(*before, *work) : "";
}

Endpoint::Rivals World::RivalsOf(int replica) const {
  const int owner = database_->owner();
  if (owner < 0 || owner == replica) return {};
  const Endpoint& other = *replicas_[static_cast<size_t>(owner)];
  return {.serves = other.running() && other.Listens(), .agent = database_->holder()};
}

void World::LoseCommits(size_t count) {
  database_ = past_[past_.size() - count];
  past_.clear();
  works_ = nullptr;
  for (Part<Endpoint>& replica : replicas_) {
    if (replica->up()) replica.Change().DoubtDatabase();
  }
  lossy_ = true;
}

}  // namespace fairlead::model
