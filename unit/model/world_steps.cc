#include <algorithm>

#include "unit/model/world.h"

// What can happen next.
namespace fairlead::model {

using Kind = Step::Kind;

std::vector<Step> World::Steps() const {
  std::vector<Step> steps;
  EndpointSteps(&steps);
  LinkSteps(&steps);
  AgentSteps(&steps);
  OutsideSteps(&steps);
  return steps;
}

bool World::Possible(const Step& step) const {
  const std::vector<Step> steps = Steps();
  return std::find(steps.begin(), steps.end(), step) != steps.end();
}

void World::OutsideSteps(std::vector<Step>* steps) const {
  for (size_t i = 0; left_.writes > 0 && !frozen_in_ && i < left_.objects.size(); ++i) {
    steps->push_back({Kind::kPut, static_cast<int>(i)});
    if (api_->objects().contains(left_.objects.substr(i, 1))) {
      steps->push_back({Kind::kDelete, static_cast<int>(i)});
    }
  }
  if (!left_.script.empty() && !frozen_in_) {
    steps->push_back({Kind::kScript, static_cast<int>(left_.script.size()) - 1});
  }
  if (left_.compactions > 0 && api_->compacted() < api_->version())
    steps->push_back({Kind::kCompact});
  for (int undone = 1; left_.api_restores > 0 && !frozen_in_ && undone <= 2; ++undone) {
    if (api_->log().size() > left_.written.size() + static_cast<size_t>(undone) - 1) {
      steps->push_back({Kind::kApiRestore, undone});
    }
  }
  for (size_t lost = 1; left_.database_losses > 0 && lost <= past_.size(); ++lost) {
    steps->push_back({Kind::kDatabaseLoss, static_cast<int>(lost)});
  }
  for (int i = 0; i < static_cast<int>(agents_.size()); ++i) {
    const Agent& agent = *agents_[static_cast<size_t>(i)];
    if (!agent.up()) continue;
    if (left_.agent_crashes > 0) steps->push_back({Kind::kAgentCrash, i});
    if (left_.cuts > 0 && LinkOf(i) != nullptr) steps->push_back({Kind::kCut, i});
    if (left_.api_cuts > 0 && agent.granted()) steps->push_back({Kind::kApiCut, i});
    if (left_.audits > 0 && agent.MayAudit()) steps->push_back({Kind::kAudit, i});
  }
  for (int i = 0; i < static_cast<int>(replicas_.size()); ++i) {
    const Endpoint& replica = *replicas_[static_cast<size_t>(i)];
    if (!replica.up()) continue;
    if (left_.endpoint_crashes > 0) steps->push_back({Kind::kEndpointCrash, i});
    if (left_.pauses > 0 && !replica.paused()) steps->push_back({Kind::kPause, i});
    if (left_.doubts > 0 && replica.running() && replica.NextIsBatch()) {
      steps->push_back({Kind::kWorkInDoubt, i});
    }
  }
  for (size_t i = 0; left_.silences > 0 && i < links_.size(); ++i) {
    const Link& link = links_[i];
    const Endpoint& replica = *replicas_[static_cast<size_t>(link.replica)];
    if (replica.running() && !replica.silent(link.session)) {
      steps->push_back({Kind::kSilence, static_cast<int>(i)});
    }
  }
}

void World::EndpointSteps(std::vector<Step>* steps) const {
  for (int i = 0; i < static_cast<int>(replicas_.size()); ++i) {
    const Endpoint& replica = *replicas_[static_cast<size_t>(i)];
    if (!replica.up()) steps->push_back({Kind::kEndpointStart, i});
    if (replica.paused()) steps->push_back({Kind::kResume, i});
    if (!replica.running()) continue;
    if (replica.HasJob()) steps->push_back({Kind::kWork, i});
    if (replica.HasAnswer()) steps->push_back({Kind::kTakeAnswer, i});
    if (replica.WantsTick(RivalsOf(i))) steps->push_back({Kind::kTick, i});
  }
}

void World::LinkSteps(std::vector<Step>* steps) const {
  for (int i = 0; i < static_cast<int>(links_.size()); ++i) {
    const Link& link = links_[static_cast<size_t>(i)];
    const Endpoint& replica = *replicas_[static_cast<size_t>(link.replica)];
    if (!link.control.empty()) steps->push_back({Kind::kControlDown, i});
    if (!link.changes.empty()) steps->push_back({Kind::kChangesDown, i});
    if (!replica.running()) continue;
    if (!link.up.empty()) steps->push_back({Kind::kUp, i});
    if (link.cut) steps->push_back({Kind::kClose, i});
    if (!link.cut && replica.silent(link.session)) steps->push_back({Kind::kBeat, i});
  }
}

void World::AgentSteps(std::vector<Step>* steps) const {
  for (int i = 0; i < static_cast<int>(agents_.size()); ++i) {
    const Agent& agent = *agents_[static_cast<size_t>(i)];
    if (!agent.up()) {
      steps->push_back({Kind::kAgentStart, i});
      continue;
    }
    const Link* link = LinkOf(i);
    const int replicas = static_cast<int>(replicas_.size());
    for (int next = 0; link == nullptr && next < replicas; ++next) {
      const int to = (i + next) % replicas;  // not all with the first
      if (replicas_[static_cast<size_t>(to)]->running()) steps->push_back({Kind::kConnect, i, to});
    }
    if (link != nullptr && replicas_[static_cast<size_t>(link->replica)]->paused()) {
      steps->push_back({Kind::kNotice, i});
    }
    if (agent.HasAnswer()) steps->push_back({Kind::kAnswer, i});
    if (agent.HasWanted()) steps->push_back({Kind::kReadWanted, i});
    if (agent.HasBatch()) steps->push_back({Kind::kDrain, i});
    if (agent.HasPage()) steps->push_back({Kind::kPage, i});
    if (agent.HasEvent(*api_)) steps->push_back({Kind::kEvent, i});
  }
}

}  // namespace fairlead::model
