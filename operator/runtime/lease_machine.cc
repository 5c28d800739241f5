#include "operator/runtime/lease_machine.h"

#include <algorithm>
#include <utility>

#include "lib/base/backoff.h"

namespace fairlead::op {

LeaseMachine::LeaseMachine(const LeaseOptions& options, uint64_t seed)
    : options_(options), random_(seed) {}

base::Duration LeaseMachine::Jittered(base::Duration d) {
  const auto fifth = static_cast<uint64_t>((d / 5).count()) + 1;
  return d + base::Duration(static_cast<int64_t>(base::NextRandom(&random_) % fifth));
}

bool LeaseMachine::MayWrite(base::Time now) const {
  return leading_ && !lost_ && now < renewed_ + options_.renew_deadline;
}

LeaseMachine::Actions LeaseMachine::Tick(base::Time now, const std::string& wall_time) {
  if (lost_) return {};
  if (leading_ && now >= renewed_ + options_.renew_deadline) {
    lost_ = true;
    leading_ = false;
    return {Lost{}};
  }
  if (under_way_ || now < next_) {
    if (leading_)
      next_ = std::min(std::max(next_, now + base::milliseconds(1)),
                       renewed_ + options_.renew_deadline);
    return {};
  }
  if (!leading_ || read_first_) {
    under_way_ = true;
    next_ = leading_ ? renewed_ + options_.renew_deadline : now + Jittered(options_.retry);
    return {Read{}};
  }
  return TryAcquire(now, wall_time);
}

LeaseMachine::Actions LeaseMachine::TryAcquire(base::Time now, const std::string& wall_time) {
  LeaseRecord record = seen_;
  const bool ours = seen_.holder == options_.identity;
  if (!ours) {
    record.acquire_time = wall_time;
    record.transitions = seen_.resource_version.empty() ? 0 : seen_.transitions + 1;
  }
  record.holder = options_.identity;
  record.renew_time = wall_time;
  record.duration_seconds =
      static_cast<int>(std::chrono::duration_cast<base::seconds>(options_.lease).count());
  under_way_ = true;
  sent_ = now;
  next_ = leading_ ? renewed_ + options_.renew_deadline : now + Jittered(options_.retry);
  return {Write{std::move(record)}};
}

void LeaseMachine::Observe(const LeaseRecord& record, base::Time now) {
  if (!(record == seen_)) seen_changed_ = now;
  seen_ = record;
}

LeaseMachine::Actions LeaseMachine::OnRead(const std::optional<LeaseRecord>& record, base::Time now,
                                           const std::string& wall_time) {
  under_way_ = false;
  if (lost_) return {};
  read_first_ = false;
  Observe(record.value_or(LeaseRecord{}), now);
  if (leading_ && seen_.holder != options_.identity) {
    lost_ = true;
    leading_ = false;
    return {Lost{}};
  }
  if (leading_) return TryAcquire(now, wall_time);
  // A record with our identity may only be one of our own earlier life in this process.
  const bool free = seen_.holder.empty() || seen_.holder == options_.identity;
  // The holder's own word on its duration counts, if it is longer than ours.
  const base::Duration wait = std::max<base::Duration>(
      options_.lease, base::seconds(std::min(seen_.duration_seconds, 3600)));
  if (free || now >= seen_changed_ + wait) return TryAcquire(now, wall_time);
  next_ = now + Jittered(options_.retry);
  return {};
}

LeaseMachine::Actions LeaseMachine::OnWritten(const LeaseRecord& record, base::Time now) {
  under_way_ = false;
  if (lost_) return {};
  Observe(record, now);
  if (record.holder != options_.identity) return {};
  renewed_ = sent_;
  next_ = now + Jittered(options_.retry);
  if (std::exchange(leading_, true)) return {};
  return {Lead{}};
}

LeaseMachine::Actions LeaseMachine::OnFailed(const absl::Status& why, base::Time now) {
  under_way_ = false;
  if (lost_) return {};
  // Whatever failed, it may have been carried out.
  read_first_ = true;
  next_ = now + (why.code() == absl::StatusCode::kAborted ? base::milliseconds(100)
                                                          : Jittered(options_.retry));
  if (leading_) next_ = std::min(next_, renewed_ + options_.renew_deadline);
  return {};
}

std::optional<LeaseMachine::Write> LeaseMachine::Release(const std::string& wall_time) {
  if (!leading_ || lost_) return std::nullopt;
  lost_ = true;
  leading_ = false;
  LeaseRecord record = seen_;
  record.holder.clear();
  record.duration_seconds = 1;
  record.renew_time = wall_time;
  return Write{std::move(record)};
}

}  // namespace fairlead::op
