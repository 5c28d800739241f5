#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "endpoint/store/replica_rows.h"
#include "lib/base/clock.h"

namespace fairlead::endpoint {

// Decides which replicas of the endpoint are dead (DESIGN section 7, "Replicas"): those whose beat
// stood still for `dead_after` while this one looked.
//
// Guarantees: time in which the table was not read, because the database was away or this process
//   stood still, counts for nobody's death.
// Only durations of this process's clock are compared. Pure; one thread.
// Tests: unit/endpoint/replicas/replica_judge_test.cc.
class ReplicaJudge {
 public:
  struct Options {
    base::Duration dead_after = base::seconds(1);
    base::Duration late = base::milliseconds(750);  // a look this late after the one before
  };
  explicit ReplicaJudge(const Options& options) : options_(options) {}

  // What was read just now; who of it is dead.
  [[nodiscard]] std::vector<store::ReplicaRow> Observe(const std::vector<store::ReplicaRow>& rows,
                                                       base::Time now);

 private:
  struct Seen {
    uint64_t beat = 0;
    base::Time since{};  // when this beat was first seen, or the table was late to be read
  };
  const Options options_;
  std::map<std::string, Seen> seen_;
  std::optional<base::Time> last_look_;
};

}  // namespace fairlead::endpoint
