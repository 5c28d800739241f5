#include "operator/controllers/deployment_controller.h"

#include <algorithm>
#include <map>
#include <utility>

#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/log/log.h"
#include "operator/controllers/event_reasons.h"
#include "operator/controllers/objects.h"
#include "operator/controllers/reasons.h"
#include "operator/model/conditions.h"

namespace fairlead::op {

namespace {

using base::StrCat;

constexpr size_t kMostFailing = 10;   // as many as the schema takes,
constexpr size_t kMostMessage = 512;  // and as long
constexpr base::Duration kSoon = base::seconds(2);

std::string Text(const absl::Status& status) { return std::string(base::View(status.message())); }

Json::Value AgentJson(const api::AccountAgent& agent) {
  Json::Value out;
  out["deploymentRef"]["name"] = agent.deployment_name;
  out["uid"] = agent.uid;
  out["state"] = agent.state;
  if (!agent.target_revision.empty()) out["targetRevision"] = agent.target_revision;
  if (!agent.observed_revision.empty()) out["observedRevision"] = agent.observed_revision;
  if (!agent.started_time.empty()) out["startedTime"] = agent.started_time;
  return out;
}

}  // namespace

struct DeploymentController::Visit {
  Visit(const Json::Value& from, absl::Status parsed, const api::AgentDeployment& deployment,
        int64_t now_ms)
      : live(from),
        refused(std::move(parsed)),
        deployment(deployment),
        now_ms(now_ms),
        conditions(deployment.conditions, deployment.meta.generation, Rfc3339(now_ms)) {}
  struct Failing {
    std::string account;
    std::string reason;
    std::string message;
  };
  // By name, each account once: its first problem.
  [[nodiscard]] std::vector<Failing> FirstFailing() const {
    std::map<std::string, Failing> by_name;
    for (const Failing& one : failing) by_name.emplace(one.account, one);
    std::vector<Failing> out;
    for (const auto& [name, one] : by_name) {
      if (out.size() < kMostFailing) out.push_back(one);
    }
    return out;
  }
  const Json::Value& live;
  absl::Status refused;
  api::AgentDeployment deployment;
  int64_t now_ms;
  ConditionSet conditions;
  std::vector<api::ClusterAccount> accounts;  // ours
  std::vector<Failing> failing;
  Json::Value counts;
  std::string update_revision;
  bool complete = false;
  bool unsettled = false;  // something was written or is not known yet: do not sum up
  bool retry = false;
  bool soon = false;  // nothing failed, but this visit is not the end of it
  base::Duration again = base::minutes(10);
};

ReconcileResult DeploymentController::Reconcile(const Key& key) {
  const Informer::Object object = context_->Deployment(key);
  if (!object) return {};
  api::AgentDeployment deployment;
  const absl::Status parsed = ParseAgentDeployment(*object, &deployment);
  Visit visit(*object, parsed, deployment, context_->clock->WallMs());
  if (deployment.meta.deleting) return Delete(&visit);
  if (!deployment.meta.HasFinalizer(kFinalizer)) {
    const absl::Status added = AddFinalizer(context_->hub.get(), DeploymentType(), *object);
    return {added.ok() ? Outcome::kDone : Outcome::kRetry, std::nullopt};
  }
  if (CheckSpec(&visit)) {
    ResolveAccounts(&visit);
    Roll(&visit);
  }
  if (visit.unsettled) return {visit.retry ? Outcome::kRetry : Outcome::kDone, kSoon};
  return Finish(&visit);
}

bool DeploymentController::CheckSpec(Visit* visit) {
  const api::AgentDeployment& spec = visit->deployment;
  if (!visit->refused.ok()) {
    visit->conditions.SetStalled(kReasonInvalidSpec, Text(visit->refused));
    return false;
  }
  std::string unsupported;
  if (spec.mode != api::AgentDeployment::Mode::kAgent) unsupported = "spec.mode: only Agent";
  if (spec.rollout_type != "AllAtOnce") unsupported = "spec.rollout.type: only AllAtOnce";
  if (spec.has_proxy) unsupported = "spec.proxy: no proxies";
  if (!unsupported.empty()) {
    visit->conditions.SetStalled(kReasonNotSupported,
                                 StrCat(unsupported, " in this version; nothing is started"));
    return false;
  }
  return true;
}

// An account belongs to one AgentDeployment: its holder keeps it, else the oldest gets it.
void DeploymentController::ResolveAccounts(Visit* visit) {
  const api::AgentDeployment& spec = visit->deployment;
  for (const api::ClusterAccount& account : context_->AccountsOf(spec.meta.name_space)) {
    if (account.meta.deleting) continue;  // its own controller takes the agent away
    const bool ours = account.agent.uid == spec.meta.uid;
    if (!Selected(spec, account)) {
      // One that cannot be let go of, its cluster gone for ever, holds up none of the others.
      if (ours && !Release(visit, account)) visit->soon = true;
      continue;
    }
    if (ours) {
      visit->accounts.push_back(account);
    } else if (!account.agent.uid.empty() && context_->Holder(account)) {
      visit->failing.push_back(
          {account.meta.name, kReasonAccountTaken,
           StrCat("served by AgentDeployment ", account.agent.deployment_name)});
    } else if (account.connection.kind == api::Connection::Kind::kKubeconfig &&
               account.connection.kubeconfig.serve) {
      visit->failing.push_back(
          {account.meta.name, kReasonConnectionUnfit,
           "mode Agent takes inCluster, kubeconfig with purpose Install, and dialIn"});
    } else if (Claim(visit, account)) {
      visit->unsettled = true;
    }
  }
}

bool DeploymentController::Claim(Visit* visit, const api::ClusterAccount& account) {
  const api::AgentDeployment& mine = visit->deployment;
  for (const Informer::Object& object : context_->deployments.at(mine.meta.name_space)->List()) {
    api::AgentDeployment other;
    if (!ParseAgentDeployment(*object, &other).ok() || other.meta.deleting) continue;
    if (other.meta.uid == mine.meta.uid || !Selected(other, account)) continue;
    if (std::pair(other.meta.creation_timestamp, other.meta.uid) <
        std::pair(mine.meta.creation_timestamp, mine.meta.uid)) {
      visit->failing.push_back({account.meta.name, kReasonAccountTaken,
                                StrCat("AgentDeployment ", other.meta.name, " is older")});
      return false;
    }
  }
  api::AccountAgent agent;
  agent.deployment_name = mine.meta.name;
  agent.uid = mine.meta.uid;
  agent.state = "Pending";
  Wrote(visit, WriteAgent(account, agent));
  return true;
}

// Takes the agent away and lets go of the account; true when that is done.
bool DeploymentController::Release(Visit* visit, const api::ClusterAccount& account) {
  const api::AgentDeployment& mine = visit->deployment;
  // Until it is written that nobody holds the account: the Installer must not come in between.
  const base::MutexLock lock = context_->locks.Lock(account.meta.uid);
  if (!mine.orphan_on_delete) {
    const auto gone = installer_->Remove(account, mine.meta.uid, mine.target_namespace);
    const int64_t since = ParseRfc3339(mine.meta.deletion_timestamp);
    const bool give_up =
        mine.meta.deleting && visit->now_ms / 1000 - since > account.abandon_after_seconds;
    if (!gone.ok() && !give_up) {
      visit->failing.push_back({account.meta.name, kReasonRemovalBlocked, Text(gone.status())});
      visit->retry = true;
      return false;
    }
    if (gone.ok() && !*gone) return false;
    if (!gone.ok()) {
      context_->Tell("ClusterAccount", account.meta, true, kEventAgentAbandoned, "Remove",
                     Text(gone.status()));
    }
  }
  const absl::Status released = WriteAgent(account, {});
  if (!released.ok() && !absl::IsAborted(released))
    log::Info("account not released", {{"account", account.meta.name}, {"error", released}});
  return released.ok();
}

// A lost race is an everyday thing: looked at anew and decided again.
void DeploymentController::Wrote(Visit* visit, const absl::Status& status) {
  if (absl::IsAborted(status)) {
    visit->soon = true;
  } else if (!status.ok()) {
    visit->retry = true;
  }
}

absl::Status DeploymentController::WriteAgent(const api::ClusterAccount& account,
                                              const api::AccountAgent& agent) {
  const Informer::Object live = context_->Account({account.meta.name_space, account.meta.name});
  if (!live) return absl::OkStatus();
  // The cache moves on during a visit. The server compares with the version that is sent: it has to
  // be the one that was decided on, not the newest.
  if ((*live)["metadata"]["resourceVersion"].asString() != account.meta.resource_version) {
    return absl::AbortedError("changed meanwhile");
  }
  Json::Value status(Json::objectValue);
  if (!agent.uid.empty()) {
    status["agent"] = AgentJson(agent);
    return WriteStatus(context_->hub.get(), AccountType(), *live, status, kRolloutManager);
  }
  if (account.agent.uid.empty()) return absl::OkStatus();
  // Nothing sent is everything given up: that is how an account is released.
  return ApplyStatus(context_->hub.get(), AccountType(), *live, status, kRolloutManager);
}

std::optional<rollout::Target> DeploymentController::TargetOf(Visit* visit,
                                                              const api::ClusterAccount& account) {
  const auto rendered = installer_->Render(account, visit->deployment);
  if (!rendered.ok()) {
    visit->failing.push_back({account.meta.name, kReasonProfileUnknown, Text(rendered.status())});
    return std::nullopt;
  }
  const auto seen = context_->observations.Get(account.meta.uid);
  const auto live = context_->fleet->Get(account.endpoint_name, account.account_name);
  if (!seen || !live) {
    visit->unsettled = true;  // nothing is decided about what was not looked at
    context_->wake_installer({account.meta.name_space, account.meta.name});
    return std::nullopt;
  }
  if (seen->failed) {
    visit->failing.push_back({account.meta.name, seen->reason, seen->problem});
  }
  rollout::Target target;
  target.name = account.meta.name;
  target.wanted_revision = rendered->revision;
  target.target_revision = account.agent.target_revision;
  target.installed_revision = seen->installed_revision;
  target.reported_revision = live->connected ? live->revision : "";
  target.started_seconds = ParseRfc3339(account.agent.started_time);
  target.observed = seen->reached;
  target.awaiting_join = account.connection.kind == api::Connection::Kind::kDialIn;
  target.paused = account.paused;
  const auto ready = std::find_if(account.conditions.begin(), account.conditions.end(),
                                  [](const auto& one) { return one.type == kReady; });
  target.ready = ready != account.conditions.end() && ready->status == "True";
  target.available = seen->available;
  target.synced = live->connected && live->synced;
  return target;
}

void DeploymentController::Roll(Visit* visit) {
  std::vector<rollout::Target> targets;
  std::vector<const api::ClusterAccount*> accounts;
  std::string revisions;
  for (const api::ClusterAccount& account : visit->accounts) {
    if (auto target = TargetOf(visit, account)) {
      revisions += StrCat(target->wanted_revision, ";");
      targets.push_back(*std::move(target));
      accounts.push_back(&account);
    }
  }
  if (visit->unsettled) return;
  rollout::Spec spec;
  spec.paused = visit->deployment.paused;
  spec.progress_deadline = base::seconds(visit->deployment.progress_deadline_seconds);
  const rollout::Plan plan = rollout::MakePlan(spec, targets, visit->now_ms / 1000);
  for (size_t i = 0; i < targets.size(); ++i) {
    const rollout::TargetPlan& decided = plan.targets[i];
    api::AccountAgent agent = accounts[i]->agent;
    agent.deployment_name = visit->deployment.meta.name;
    agent.state = std::string(rollout::StateName(decided.state));
    if (decided.start) {
      agent.target_revision = targets[i].wanted_revision;
      agent.started_time = Rfc3339(visit->now_ms);
    }
    if (decided.state == rollout::State::kSucceeded) {
      agent.observed_revision = targets[i].reported_revision;
    }
    if (agent == accounts[i]->agent) continue;
    const absl::Status written = WriteAgent(*accounts[i], agent);
    Wrote(visit, written);
    if (decided.start && written.ok()) {
      context_->Tell(
          "AgentDeployment", visit->deployment.meta, false, kEventRolloutStarted, "Rollout",
          StrCat("account ", accounts[i]->meta.name, ": revision ", agent.target_revision));
      log::Info("agent started",
                {{"account", accounts[i]->account_name}, {"revision", agent.target_revision}});
    }
  }
  // One revision for people; each account's own differs in its names.
  visit->update_revision = revisions.empty() ? "" : base::Sha256Hex(revisions).substr(0, 10);
  visit->again = visit->soon ? std::min(kSoon, plan.recheck) : plan.recheck;
  visit->complete = plan.complete() && !targets.empty();
  SumUp(visit, plan);
}

void DeploymentController::SumUp(Visit* visit, const rollout::Plan& plan) {
  visit->counts["desired"] = plan.desired;
  visit->counts["updated"] = plan.updated;
  visit->counts["ready"] = plan.ready;
  visit->counts["awaitingJoin"] = plan.awaiting_join;
  visit->counts["failed"] = plan.failed;
  const std::string progress = StrCat(plan.ready, " of ", plan.desired, " accounts are served");
  if (visit->accounts.empty() && visit->failing.empty()) {
    visit->conditions.SetReady(kReasonNoAccounts, "no account is selected");
  } else if (plan.complete() && visit->failing.empty()) {
    visit->conditions.SetReady(kReasonAllServed, progress);
  } else if (plan.failed > 0) {
    visit->conditions.SetProgressing(kReasonProgressDeadlineExceeded,
                                     StrCat(progress, "; ", plan.failed, " did not come up within ",
                                            visit->deployment.progress_deadline_seconds, " s"));
  } else if (!visit->failing.empty()) {
    const Visit::Failing& first = visit->failing.front();
    visit->conditions.SetProgressing(
        first.reason, StrCat(progress, "; account ", first.account, ": ", first.message));
  } else {
    visit->conditions.SetProgressing(kReasonRollingOut, progress);
  }
  visit->conditions.Set(kPaused, visit->deployment.paused ? "True" : "False",
                        visit->deployment.paused ? kReasonPaused : kReasonNotPaused, "");
}

ReconcileResult DeploymentController::Finish(Visit* visit) {
  Json::Value status;
  status["observedGeneration"] = Json::Int64(visit->deployment.meta.generation);
  for (const api::Condition& one : visit->conditions.all()) {
    status["conditions"].append(ConditionToJson(one));
  }
  if (!visit->counts.isNull()) status["accounts"] = visit->counts;
  if (!visit->update_revision.empty()) {
    status["updateRevision"] = visit->update_revision;
    status["currentRevision"] =
        visit->complete ? visit->update_revision : visit->deployment.current_revision;
  }
  for (const Visit::Failing& failing : visit->FirstFailing()) {
    Json::Value one;
    one["account"] = failing.account;
    one["reason"] = failing.reason;
    one["message"] = base::Clipped(failing.message, kMostMessage);
    status["failing"].append(one);
  }
  Json::Value live = visit->live;
  // A list that became empty is not in `status`, and has to go.
  if (!status.isMember("failing") && live["status"].isMember("failing")) live["status"].clear();
  const absl::Status written =
      WriteStatus(context_->hub.get(), DeploymentType(), live, status, kRolloutManager);
  if (absl::IsAborted(written)) return {Outcome::kRetry, std::nullopt};  // an everyday race
  if (!written.ok()) {
    log::Warn("status not written",
              {{"agentDeployment", visit->deployment.meta.name}, {"error", written}});
    return {Outcome::kRetry, std::nullopt};
  }
  context_->TellTransitions("AgentDeployment", visit->deployment.meta, visit->conditions);
  if (visit->complete && visit->update_revision != visit->deployment.current_revision) {
    context_->Tell("AgentDeployment", visit->deployment.meta, false, kEventRolloutFinished,
                   "Rollout", StrCat("revision ", visit->update_revision));
  }
  if (visit->conditions.IsTrue(kStalled)) return {Outcome::kRefused, visit->again};
  return {visit->retry ? Outcome::kRetry : Outcome::kDone, visit->again};
}

ReconcileResult DeploymentController::Delete(Visit* visit) {
  if (!visit->deployment.meta.HasFinalizer(kFinalizer)) return {};
  bool left = false;
  for (const api::ClusterAccount& account :
       context_->AccountsOf(visit->deployment.meta.name_space)) {
    if (account.agent.uid != visit->deployment.meta.uid) continue;
    // A deleted account's own controller is at it, and needs this object until it is done.
    left = account.meta.deleting || !Release(visit, account) || left;
  }
  if (!left) {
    const absl::Status removed =
        RemoveFinalizer(context_->hub.get(), DeploymentType(), visit->live);
    return {removed.ok() ? Outcome::kDone : Outcome::kRetry, std::nullopt};
  }
  if (!visit->failing.empty()) {
    const Visit::Failing& first = visit->failing.front();
    visit->conditions.Set(kDeleting, "True", first.reason,
                          StrCat("account ", first.account, ": ", first.message));
    Finish(visit);
    return {Outcome::kDone, base::Duration(base::seconds(15))};
  }
  return {Outcome::kDone, base::Duration(base::seconds(1))};
}

}  // namespace fairlead::op
