#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "endpoint/fleet/board.h"
#include "endpoint/store/types.h"
#include "lib/base/clock.h"

// How fresh the rows of one watch are, and by what proof (DESIGN section 2, invariants 8 and 9).
// Pure.
namespace fairlead::endpoint {

enum class Freshness {
  kSyncing,  // its first list, or another whole one, is not finished; or nothing came since a grant
  kInSync,   // changes come, and are committed
  kVerified,   // likewise, and the rows were proven equal to a whole list in the last two days
  kStale,      // rows were last known current too long ago
  kForbidden,  // the cluster refuses it: rows are what they were
  kHeld,       // in sync, but for rows that deletion protection keeps
};
std::string_view FreshnessName(Freshness state);  // "InSync"
inline constexpr Freshness kEveryFreshness[] = {Freshness::kSyncing,   Freshness::kInSync,
                                                Freshness::kVerified,  Freshness::kStale,
                                                Freshness::kForbidden, Freshness::kHeld};

// Rows of a watch that nothing is heard of are stale after this. Servers send a bookmark every
// minute, and a stream that nothing comes on ends within ten.
inline constexpr base::Duration kStaleWatched = base::minutes(5);
// Likewise while nobody watches: no agent, or an agent that does not reach its cluster. Agents say
// every 30 s how fresh they are.
inline constexpr base::Duration kStaleUnwatched = base::minutes(2);
// As long after a grant a watch may be silent that goes on where another left off.
inline constexpr base::Duration kCatchUp = base::minutes(2);
// Audits come daily.
inline constexpr base::Duration kProofLasts = base::hours(48);

// Ages in milliseconds; -1 = never.
struct WatchFacts {
  bool granted = false;
  int64_t granted_age_ms = -1;
  bool listed = false;      // a whole list is in the rows
  std::string agent_state;  // what the agent says of it in this grant; "" = nothing yet
  std::string agent_detail;
  int64_t age_ms = -1;  // since the rows were known current
  int64_t verified_age_ms = -1;
  uint64_t held = 0;
  // The agent is another replica's, which says that the account is in sync: it knows how old the
  // rows may be, and here only what is stored is known.
  bool vouched = false;
};

struct WatchFreshness {
  Freshness state = Freshness::kSyncing;
  std::string detail;  // for people; "" when there is nothing to say
};

WatchFreshness Judge(const WatchFacts& facts);

// One watch of an account with what is known of it.
struct WatchReport {
  store::Position
      position;  // without anchors; only kind and watch when there are no rows of it yet
  WatchFacts facts;
  WatchFreshness freshness;
};

// Every watch that has a position, and every other that the agent speaks of, unless the cluster
// does not have the kind. `now` and `wall_ms` are of one moment.
// `own`: the agent is this replica's.
std::vector<WatchReport> Report(const std::vector<store::Position>& positions,
                                const AccountLive& live, bool own, const AccountFreshness& said,
                                base::Time now, int64_t wall_ms);

// Of a whole account: that of its watches which needs somebody most. kSyncing without any.
Freshness Summary(const std::vector<WatchReport>& watches);

}  // namespace fairlead::endpoint
