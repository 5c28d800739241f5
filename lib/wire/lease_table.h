#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"

namespace fairlead::wire {

// Decides which session serves which account: the first eligible claim, and the standby when that
// session goes or its beats stop (DESIGN section 5, "Beats"; invariant 2). It knows the sessions of
// one replica of the endpoint; that another replica has an account, or is free to take it, is what
// the caller says.
//
// Guarantees: at most one session holds an account, under a term that was made for it; a session is
// eligible only if the account trusts its identity and its cluster
//   uid is the pinned one; silence revokes only when a live standby is there, here or elsewhere,
//   and an account at most once in `cooldown`; changes of the account take effect at once; an
//   account that nobody here can serve any more is released, and one that another replica has is
//   asked for again only for a new claim, or when Freed() says so.
// Assumes: session numbers rise; `now` never goes back; terms rise, are allocated durably by the
//   caller, which answers each kBegin with Began(), BeginElsewhere() or BeginFailed().
// Only durations are compared. When Tick() itself comes late, the judge was stopped and not the
// agents: every session's silence starts again.
// Pure; one thread. Tests: unit/lib/wire/lease_table_test.cc.
class LeaseTable {
 public:
  using SessionId = uint64_t;

  struct Options {
    base::Duration cooldown = base::seconds(10);
    base::Duration late_tick = base::milliseconds(500);  // a tick this late restarts the timers
    base::Duration retry = base::seconds(1);  // after BeginFailed() and Restart(); between kOffer
  };
  struct Account {
    base::U128 uid;
    std::string name;
    std::string pinned_cluster_uid;  // "" = any
    std::set<std::string> identities;

    friend bool operator==(const Account&, const Account&) = default;
  };
  struct Claim {
    std::string account_name;
    std::string cluster_uid;
  };
  struct Action {
    enum class Kind {
      kBegin,   // allocate a term for `session`, then call Began() or one of the others
      kRevoke,  // tell `session`; its grant is void from now on
      kRefuse,  // tell `session` why its claim is not eligible; once per reason
      kOffer,   // the holder is silent and no standby is here: Restart() if another replica's
                // standby may have the account
      kLeave,   // nobody here serves or wants the account any more: others may have it, and
                // what this replica asked for before is void
    };
    Kind kind;
    SessionId session = 0;
    base::U128 account;
    std::string account_name;
    uint64_t attempt = 0;  // kBegin
    uint64_t term = 0;     // kRevoke: 0 = the grant was not sent yet; kOffer
    std::string reason = "";
    std::string detail = "";
  };
  using Actions = std::vector<Action>;
  struct Held {
    SessionId session = 0;
    uint64_t term = 0;  // 0 while the term is being allocated
  };

  explicit LeaseTable(const Options& options) : options_(options) {}

  [[nodiscard]] Actions PutAccount(const Account& account, base::Time now);
  [[nodiscard]] Actions RemoveAccount(const base::U128& uid, base::Time now);

  void OpenSession(SessionId session, const std::string& identity, base::Duration lease,
                   base::Time now);
  // Adds claims, or replaces those of the same account name.
  [[nodiscard]] Actions AddClaims(SessionId session, const std::vector<Claim>& claims,
                                  base::Time now);
  [[nodiscard]] Actions CloseSession(SessionId session, base::Time now);
  // Any byte counts.
  void Heard(SessionId session, base::Time now);
  [[nodiscard]] Actions Tick(base::Time now);

  // The term of an attempt was committed. False when nobody wants it any more: send no grant.
  [[nodiscard]] bool Began(const base::U128& uid, uint64_t attempt, uint64_t term);
  void BeginFailed(const base::U128& uid, uint64_t attempt, base::Time now);
  // No term was made: another replica has the account. Freed() ends the wait.
  void BeginElsewhere(const base::U128& uid, uint64_t attempt);
  // No replica has the account now.
  [[nodiscard]] Actions Freed(const base::U128& uid, base::Time now);
  // The caller found the running grant broken (a gap, a lost fence): revokes it and grants again,
  // after `retry`.
  [[nodiscard]] Actions Restart(const base::U128& uid, const std::string& reason, base::Time now);

  [[nodiscard]] std::optional<Held> Holder(const base::U128& uid) const;
  // Sessions other than the holder that could take the account over now.
  [[nodiscard]] size_t Standbys(const base::U128& uid, base::Time now) const;
  [[nodiscard]] size_t held() const { return held_; }
  // What another replica has, and sessions here wait for.
  [[nodiscard]] std::vector<base::U128> Elsewhere() const;

 private:
  struct SessionState {
    std::string identity;
    base::Duration lease{};
    base::Time heard{};
    std::map<std::string, Claim> claims;
    std::map<std::string, std::string> refused;  // account name -> reason already told
    std::set<base::U128> holds;
  };
  struct AccountState {
    Account account;
    std::optional<Held> holder;
    uint64_t attempt = 0;
    base::Time revocable_at{};
    base::Time retry_at{};
    base::Time offer_at{};
    bool asked = false;      // for a term, since kLeave
    bool elsewhere = false;  // another replica has it
  };

  void Evaluate(AccountState& state, base::Time now, Actions* actions);
  bool Eligible(const AccountState& state, SessionId id, SessionState& session, Actions* actions);
  bool Alive(const SessionState& session, base::Time now) const;
  void Revoke(AccountState& state, const std::string& reason, Actions* actions);
  void Begin(AccountState& state, SessionId session, Actions* actions);
  void OnSilence(AccountState& state, base::Time now, Actions* actions);
  static void GiveUp(AccountState& state, Actions* actions);
  void Drop(AccountState& state);
  SessionId FirstStandby(const AccountState& state, base::Time now) const;
  void RefuseUnknown(SessionId id, SessionState& session, const std::string& name,
                     Actions* actions) const;

  const Options options_;
  std::map<base::U128, AccountState> accounts_;
  std::map<std::string, base::U128> uid_of_;              // by name
  std::map<std::string, std::set<SessionId>> claimants_;  // by account name
  absl::flat_hash_map<SessionId, SessionState> sessions_;
  std::set<base::U128> unheld_;  // accounts with claimants and no holder, looked at by Tick()
  std::optional<base::Time> last_tick_;
  uint64_t next_attempt_ = 1;
  size_t held_ = 0;
};

}  // namespace fairlead::wire
