#include "operator/runtime/elector.h"

#include <utility>

#include "lib/base/strings.h"
#include "lib/json/dom.h"
#include "lib/kube/requests.h"
#include "lib/log/log.h"
#include "operator/runtime/micro_time.h"

namespace fairlead::op {

namespace {

const kube::ResourceType kLease{"coordination.k8s.io", "v1", "leases", "Lease", true};

int64_t Ns(base::Time time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

LeaseRecord RecordOf(const Json::Value& lease) {
  LeaseRecord record;
  const Json::Value& spec = lease["spec"];
  record.holder = spec["holderIdentity"].asString();
  record.duration_seconds = spec["leaseDurationSeconds"].asInt();
  record.transitions = spec["leaseTransitions"].asInt();
  record.acquire_time = spec["acquireTime"].asString();
  record.renew_time = spec["renewTime"].asString();
  record.resource_version = lease["metadata"]["resourceVersion"].asString();
  return record;
}

}  // namespace

Elector::Elector(const Options& options, kube::ApiClient* api, base::Loop* loop,
                 std::function<void()> on_lead, std::function<void()> on_lost)
    : options_(options),
      api_(api),
      loop_(loop),
      on_lead_(std::move(on_lead)),
      on_lost_(std::move(on_lost)),
      machine_(options.lease, static_cast<uint64_t>(loop->clock().WallMs())) {}

void Elector::Start() { Rearm(); }

bool Elector::MayWrite() const { return Ns(loop_->clock().Now()) < write_until_ns_; }

void Elector::PublishFence() {
  const base::Time now = loop_->clock().Now();
  if (!machine_.MayWrite(now)) {
    write_until_ns_ = 0;
    return;
  }
  // The machine's own bound is the renewal that is due; it is asked again long before.
  base::Duration sure = options_.lease.retry;
  while (!machine_.MayWrite(now + sure)) sure /= 2;
  write_until_ns_ = Ns(now + sure);
}

void Elector::Apply(const LeaseMachine::Actions& actions) {
  for (const LeaseMachine::Action& action : actions) {
    if (std::holds_alternative<LeaseMachine::Read>(action)) {
      Read();
    } else if (const auto* write = std::get_if<LeaseMachine::Write>(&action)) {
      Write(write->record, nullptr);
    } else if (std::holds_alternative<LeaseMachine::Lead>(action)) {
      leading_ = true;
      PublishFence();
      log::Info("leading", {{"lease", options_.name}, {"identity", options_.lease.identity}});
      on_lead_();
    } else if (std::holds_alternative<LeaseMachine::Lost>(action)) {
      leading_ = false;
      write_until_ns_ = 0;
      log::Error("leadership lost", {{"lease", options_.name}});
      on_lost_();
    }
  }
  Rearm();
}

void Elector::Rearm() {
  PublishFence();
  const base::Time now = loop_->clock().Now();
  const base::Duration wait = std::min<base::Duration>(
      std::max<base::Duration>(machine_.NextWake() - now, base::milliseconds(1)),
      options_.lease.retry / 4);
  timer_ = loop_->After(wait, [this] {
    const base::Time at = loop_->clock().Now();
    if (at < machine_.NextWake()) return Rearm();
    Apply(machine_.Tick(at, MicroTime(loop_->clock())));
  });
}

void Elector::Read() {
  auto request = kube::GetRequest({kLease, options_.name_space, options_.name});
  kube::CallOptions call;
  call.timeout = options_.lease.renew_deadline / 2;
  call_ = api_->Start(*std::move(request), call, [this](kube::ApiAnswer answer) {
    const base::Time now = loop_->clock().Now();
    if (answer.error && answer.error->reason == kube::Reason::kNotFound) {
      return Apply(machine_.OnRead(std::nullopt, now, MicroTime(loop_->clock())));
    }
    if (answer.error) return Apply(machine_.OnFailed(kube::ToStatus(*answer.error), now));
    const auto lease = json::ParseJson(answer.body);
    if (!lease.ok()) return Apply(machine_.OnFailed(lease.status(), now));
    Apply(machine_.OnRead(RecordOf(*lease), now, MicroTime(loop_->clock())));
  });
}

void Elector::Write(const LeaseRecord& record, std::function<void()> done) {
  Json::Value lease;
  lease["apiVersion"] = "coordination.k8s.io/v1";
  lease["kind"] = "Lease";
  lease["metadata"]["name"] = options_.name;
  lease["metadata"]["namespace"] = options_.name_space;
  Json::Value& spec = lease["spec"];
  spec["holderIdentity"] = record.holder;
  spec["leaseDurationSeconds"] = record.duration_seconds;
  spec["leaseTransitions"] = record.transitions;
  if (!record.acquire_time.empty()) spec["acquireTime"] = record.acquire_time;
  if (!record.renew_time.empty()) spec["renewTime"] = record.renew_time;
  const kube::ObjectName name{kLease, options_.name_space, options_.name};
  if (!record.resource_version.empty()) {
    lease["metadata"]["resourceVersion"] = record.resource_version;
  }
  auto request = record.resource_version.empty()
                     ? kube::CreateRequest(name, json::WriteJson(lease), "fairlead-operator")
                     : kube::ReplaceRequest(name, json::WriteJson(lease), "fairlead-operator");
  kube::CallOptions call;
  call.timeout = options_.lease.renew_deadline / 2;
  call_ = api_->Start(*std::move(request), call,
                      [this, done = std::move(done)](const kube::ApiAnswer& answer) {
                        if (done) return done();
                        OnWriteAnswer(answer);
                      });
}

void Elector::OnWriteAnswer(const kube::ApiAnswer& answer) {
  const base::Time now = loop_->clock().Now();
  if (answer.error) {
    const bool lost_race = answer.error->reason == kube::Reason::kConflict ||
                           answer.error->reason == kube::Reason::kAlreadyExists;
    return Apply(machine_.OnFailed(lost_race ? absl::AbortedError("somebody else wrote the Lease")
                                             : kube::ToStatus(*answer.error),
                                   now));
  }
  const auto lease = json::ParseJson(answer.body);
  if (!lease.ok()) return Apply(machine_.OnFailed(lease.status(), now));
  Apply(machine_.OnWritten(RecordOf(*lease), now));
}

void Elector::Release(std::function<void()> done) {
  timer_.reset();
  write_until_ns_ = 0;
  const auto write = machine_.Release(MicroTime(loop_->clock()));
  if (!write) return done();
  Write(write->record, std::move(done));
}

}  // namespace fairlead::op
