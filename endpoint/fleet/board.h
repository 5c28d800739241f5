#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/mutex.h"

namespace fairlead::endpoint {

// What agents say of a watch, as far as something follows from it (kube::WatchStateName).
inline constexpr char kSaysWatching[] = "Watching";
inline constexpr char kSaysForbidden[] = "Forbidden";
inline constexpr char kSaysMissing[] = "Missing";
inline constexpr char kSaysBackoff[] = "Backoff";
inline constexpr char kSaysUnwatched[] = "Unwatched";  // has a position, and is not in scope now

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
  // Every kind that the cluster lets the agent see is watched and complete.
  bool synced = false;
  uint64_t refused = 0;                      // objects that could not be stored
  std::vector<std::string> refused_objects;  // the first of them, and why
  friend bool operator==(const AccountLive&, const AccountLive&) = default;
};

// How old what an account's rows show may be, as its agent said last.
struct AccountFreshness {
  struct Watch {
    std::string group;
    std::string resource;
    std::string watch;  // "" or the one namespace
    std::string state;  // kube::WatchStateName
    std::string detail;
    std::optional<int64_t> fresh_ms;  // when it was said; nullopt: nothing heard in that grant
  };
  base::Time granted_at{};
  bool reported = false;  // since granted_at
  base::Time reported_at{};
  std::optional<int64_t> fresh_ms;  // of every watch that is not in `watches`, when it was said
  std::vector<Watch> watches;
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
  void Remove(const base::U128& account);
  // What this replica's agents said; nobody is told, as it changes with every report.
  void SetFreshness(const base::U128& account, AccountFreshness freshness);
  [[nodiscard]] AccountFreshness Freshness(const base::U128& account) const;
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
  std::map<base::U128, AccountFreshness> freshness_;
};

}  // namespace fairlead::endpoint
