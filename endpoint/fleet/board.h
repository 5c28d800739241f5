#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/hash.h"
#include "lib/base/mutex.h"

namespace fairlead::endpoint {

// What is known of an account's agents now.
struct AccountLive {
  bool granted = false;  // some agent holds it
  uint64_t term = 0;     // under which it is granted
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

// AccountLive as a text for other replicas, and back; what cannot be read is InvalidArgument.
std::string LiveToText(const AccountLive& live);
absl::StatusOr<AccountLive> LiveFromText(std::string_view text);

// Where the sessions write and REST reads what is live: of this replica of the endpoint, and what
// others say. Thread-safe; holds one entry an account and replica.
class FleetBoard {
 public:
  // Called after a change, outside the lock, on the thread that made it. `own`: of this replica.
  using Listener = std::function<void(const base::U128& account, bool own)>;
  void OnChange(Listener listener) {
    const base::MutexLock lock(mutex_);
    listener_ = std::move(listener);
  }

  void Set(const base::U128& account, const AccountLive& live) { Put("", account, live); }
  void Remove(const base::U128& account) { Put("", account, std::nullopt); }
  // What replica `peer` says.
  void SetPeer(const std::string& peer, const base::U128& account, const AccountLive& live) {
    Put(peer, account, live);
  }
  void ForgetPeer(const std::string& peer);

  // Of all replicas: the holder under the latest term, and everybody's standbys.
  [[nodiscard]] AccountLive Get(const base::U128& account) const;
  // Of this one.
  [[nodiscard]] AccountLive Own(const base::U128& account) const;
  // Of which this replica has something to say.
  [[nodiscard]] std::vector<base::U128> OwnAccounts() const;

 private:
  using Lives = std::map<base::U128, AccountLive>;
  void Put(const std::string& replica, const base::U128& account,
           const std::optional<AccountLive>& live);

  mutable base::Mutex mutex_;
  Listener listener_;
  std::map<std::string, Lives> replicas_;  // "" = this one
};

}  // namespace fairlead::endpoint
