#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/hash.h"
#include "lib/base/mutex.h"

namespace fairlead::endpoint {

// What is known of an account's agents now.
struct AccountLive {
  bool granted = false;  // some agent holds it
  int standbys = 0;
  std::string identity;
  std::string instance;
  std::string agent_version;
  std::string revision;
  std::string zone;
  std::string cluster_uid;
  std::string kubernetes_version;
  std::string state;  // as the agent says: Running, Unreachable, ...
  std::string detail;
  std::vector<std::string> kinds;  // those that are not simply watching: "pods: Forbidden"
  friend bool operator==(const AccountLive&, const AccountLive&) = default;
};

// Where the sessions write and REST reads what is live. Thread-safe; holds one entry an account.
class FleetBoard {
 public:
  // Called after a change, outside the lock, on the thread that made it.
  void OnChange(std::function<void(const base::U128& account)> listener) {
    listener_ = std::move(listener);
  }
  void Set(const base::U128& account, const AccountLive& live) {
    {
      const base::MutexLock lock(mutex_);
      AccountLive& known = live_[account];
      if (known == live) return;
      known = live;
    }
    if (listener_) listener_(account);
  }
  void Remove(const base::U128& account) {
    {
      const base::MutexLock lock(mutex_);
      if (live_.erase(account) == 0) return;
    }
    if (listener_) listener_(account);
  }
  [[nodiscard]] AccountLive Get(const base::U128& account) const {
    const base::MutexLock lock(mutex_);
    const auto found = live_.find(account);
    return found == live_.end() ? AccountLive{} : found->second;
  }

 private:
  std::function<void(const base::U128&)> listener_;
  mutable base::Mutex mutex_;
  std::map<base::U128, AccountLive> live_;
};

}  // namespace fairlead::endpoint
