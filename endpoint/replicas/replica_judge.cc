#include "endpoint/replicas/replica_judge.h"

#include <utility>

namespace fairlead::endpoint {

std::vector<store::ReplicaRow> ReplicaJudge::Observe(const std::vector<store::ReplicaRow>& rows,
                                                     base::Time now) {
  const bool late = last_look_ && now - *last_look_ > options_.late;
  last_look_ = now;
  std::map<std::string, Seen> seen;
  std::vector<store::ReplicaRow> dead;
  for (const store::ReplicaRow& row : rows) {
    const auto known = seen_.find(row.id);
    const bool stood = known != seen_.end() && known->second.beat == row.beat && !late;
    const Seen& state = seen[row.id] = stood ? known->second : Seen{row.beat, now};
    if (now - state.since >= options_.dead_after) dead.push_back(row);
  }
  seen_ = std::move(seen);
  return dead;
}

}  // namespace fairlead::endpoint
