#include "endpoint/freshness/state.h"

#include <algorithm>
#include <utility>

#include "lib/base/strings.h"

namespace fairlead::endpoint {
namespace {

bool Older(int64_t age_ms, base::Duration limit) {
  return age_ms < 0 || age_ms > base::AgeMs(limit);
}

// Nothing of the kind is to be had, or wanted.
bool Absent(const std::string& agent_state) {
  return agent_state == kSaysMissing || agent_state == kSaysUnwatched;
}

bool Watched(const WatchFacts& facts) {
  return facts.granted && facts.agent_state != kSaysBackoff && !Absent(facts.agent_state);
}

std::string Said(const WatchFacts& facts) {
  if (!facts.granted) return "no agent holds the account";
  if (facts.vouched) return "another replica has its agent and says that all is in sync";
  if (facts.agent_state.empty() || facts.agent_state == kSaysWatching) return "";
  return facts.agent_detail.empty() ? facts.agent_state
                                    : base::StrCat(facts.agent_state, ": ", facts.agent_detail);
}

// The less of two ages, of which each may be unknown.
int64_t Least(int64_t a, int64_t b) {
  if (a < 0) return b;
  return b < 0 ? a : std::min(a, b);
}

int64_t WallAge(int64_t then_ms, int64_t wall_ms) {
  return then_ms == 0 ? -1 : std::max<int64_t>(0, wall_ms - then_ms);
}

const AccountFreshness::Watch* Find(const AccountFreshness& said, const store::Position& of) {
  for (const AccountFreshness::Watch& one : said.watches) {
    if (one.group == of.kind.group && one.resource == of.kind.resource && one.watch == of.watch) {
      return &one;
    }
  }
  return nullptr;
}

WatchReport Of(const store::Position& position, const AccountLive& live, bool own_agent,
               const AccountFreshness& said, base::Time now, int64_t wall_ms) {
  WatchReport report;
  report.position = position;
  WatchFacts& facts = report.facts;
  facts.granted = live.granted;
  if (own_agent) facts.granted_age_ms = base::AgeMs(now - said.granted_at);
  facts.vouched = live.granted && !own_agent && live.synced;
  facts.listed = !position.resource_version.empty();
  facts.held = position.held;
  facts.verified_age_ms = WallAge(position.verified_ms, wall_ms);
  facts.age_ms = WallAge(position.fresh_ms, wall_ms);
  const AccountFreshness::Watch* own = Find(said, position);
  const std::optional<int64_t> told = own == nullptr ? said.fresh_ms : own->fresh_ms;
  if (told) facts.age_ms = Least(facts.age_ms, *told + base::AgeMs(now - said.reported_at));
  if (!facts.listed) facts.age_ms = -1;
  if (own_agent && said.reported) {
    facts.agent_state = own == nullptr ? kSaysWatching : own->state;
    if (own != nullptr) facts.agent_detail = own->detail;
  }
  report.freshness = Judge(facts);
  return report;
}

}  // namespace

std::string_view FreshnessName(Freshness state) {
  switch (state) {
    case Freshness::kSyncing:
      return "Syncing";
    case Freshness::kInSync:
      return "InSync";
    case Freshness::kVerified:
      return "Verified";
    case Freshness::kStale:
      return "Stale";
    case Freshness::kForbidden:
      return "Forbidden";
    case Freshness::kHeld:
      return "Held";
  }
  return "Syncing";
}

WatchFreshness Judge(const WatchFacts& facts) {
  if (facts.granted && facts.agent_state == kSaysForbidden) {
    return {Freshness::kForbidden, facts.agent_detail};
  }
  const bool watched = Watched(facts);
  if (!facts.listed) {
    return {watched ? Freshness::kSyncing : Freshness::kStale, Said(facts)};
  }
  if (watched && facts.agent_state != kSaysWatching && !facts.agent_state.empty()) {
    return {Freshness::kSyncing, Said(facts)};
  }
  if (!facts.vouched && Older(facts.age_ms, watched ? kStaleWatched : kStaleUnwatched)) {
    if (watched && !Older(facts.granted_age_ms, kCatchUp)) {
      return {Freshness::kSyncing, "goes on where another agent left off; nothing came yet"};
    }
    return {Freshness::kStale, Said(facts)};
  }
  if (facts.held > 0) {
    return {Freshness::kHeld, base::StrCat(facts.held, " rows are kept by deletion protection")};
  }
  if (!Older(facts.verified_age_ms, kProofLasts)) return {Freshness::kVerified, Said(facts)};
  const std::string said = Said(facts);
  const char* unproven = facts.verified_age_ms < 0
                             ? "not proven, or not since something was found wrong"
                             : "last proven more than two days ago";
  return {Freshness::kInSync, said.empty() ? unproven : said};
}

std::vector<WatchReport> Report(const std::vector<store::Position>& positions,
                                const AccountLive& live, bool own_agent,
                                const AccountFreshness& said, base::Time now, int64_t wall_ms) {
  std::vector<WatchReport> out;
  for (const store::Position& position : positions) {
    // What is gone, or not asked for any more, and has no rows.
    const AccountFreshness::Watch* own = Find(said, position);
    if (own != nullptr && Absent(own->state) && position.count == 0) continue;
    out.push_back(Of(position, live, own_agent, said, now, wall_ms));
  }
  if (!own_agent || !said.reported) return out;
  for (const AccountFreshness::Watch& one : said.watches) {
    if (Absent(one.state)) continue;
    store::Position position;
    position.kind.group = one.group;
    position.kind.resource = one.resource;
    position.watch = one.watch;
    const bool known = std::any_of(out.begin(), out.end(), [&](const WatchReport& other) {
      return other.position.kind.group == one.group &&
             other.position.kind.resource == one.resource && other.position.watch == one.watch;
    });
    if (!known) out.push_back(Of(position, live, own_agent, said, now, wall_ms));
  }
  return out;
}

Freshness Summary(const std::vector<WatchReport>& watches) {
  constexpr Freshness kWorstFirst[] = {Freshness::kStale,  Freshness::kSyncing,
                                       Freshness::kHeld,   Freshness::kForbidden,
                                       Freshness::kInSync, Freshness::kVerified};
  for (const Freshness state : kWorstFirst) {
    for (const WatchReport& one : watches) {
      if (one.freshness.state == state) return state;
    }
  }
  return Freshness::kSyncing;
}

}  // namespace fairlead::endpoint
