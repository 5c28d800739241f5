#include "unit/model/worlds.h"

namespace fairlead::model {

const std::vector<NamedWorld>& Worlds() {
  static const std::vector<NamedWorld> kWorlds = {
      {"writes in any order", {.objects = "ab", .writes = 3}, /*small=*/true},
      {"changes that join, then a crash", {.script = "abAa", .agent_crashes = 1}},
      {"larger batches, a crash",
       {.agent = {.batch_bytes = 100'000}, .script = "abAa", .agent_crashes = 1}},
      {"two cuts", {.script = "abA", .cuts = 2}},
      {"an endpoint crashes", {.objects = "ab", .writes = 2, .endpoint_crashes = 1}, true},
      {"an endpoint and an agent crash",
       {.script = "aA", .agent_crashes = 1, .endpoint_crashes = 1}},
      {"a commit in doubt, a cut", {.script = "abA", .cuts = 1, .doubts = 1}},
      {"the primary falls silent", {.agents = 2, .script = "aA", .silences = 1}},
      {"the primary is cut", {.agents = 2, .script = "aA", .cuts = 1}, true},
      {"the primary is cut, two objects", {.agents = 2, .script = "abA", .cuts = 1}},
      {"first list", {.written = "ab", .synced = false, .objects = "ab", .writes = 1}},
      {"first list, a crash",
       {.written = "ab", .synced = false, .script = "A", .agent_crashes = 1}},
      {"audit", {.written = "a", .script = "Ab", .audits = 1}},
      {"compacted while away",
       {.written = "ab", .script = "Ab", .api_cuts = 1, .compactions = 1},
       true},
      {"compacted, a crash",
       {.written = "ab", .script = "Aa", .agent_crashes = 1, .compactions = 1}},
      {"the API server is restored", {.written = "a", .script = "aA", .api_restores = 1}},
      {"the API server is restored, a crash",
       {.written = "a", .script = "ab", .agent_crashes = 1, .api_restores = 1}},
      {"the API server is restored, a failover",
       {.agents = 2, .written = "a", .script = "a", .cuts = 1, .api_restores = 1}},
      {"the database loses commits", {.script = "aA", .database_losses = 1}, true},
      {"the database loses commits, two objects", {.script = "abA", .database_losses = 1}},
      {"the database loses commits, a failover",
       {.agents = 2, .script = "aA", .cuts = 1, .database_losses = 1}},
      {"two replicas, the database loses commits, a cut",
       {.agents = 1, .replicas = 2, .script = "a", .cuts = 1, .database_losses = 1}},
      {"two replicas, the database loses commits, one is stopped",
       {.agents = 1, .replicas = 2, .script = "a", .pauses = 1, .database_losses = 1}},
      {"two replicas, a cut", {.agents = 2, .replicas = 2, .script = "a", .cuts = 1}},
      {"two replicas, silence", {.agents = 2, .replicas = 2, .script = "aA", .silences = 1}},
      {"two replicas, one crashes",
       {.agents = 2, .replicas = 2, .script = "a", .endpoint_crashes = 1}},
      {"two replicas, one is stopped and goes on",
       {.agents = 1, .replicas = 2, .script = "aA", .pauses = 1}},
      {"two replicas, one is stopped, two agents",
       {.agents = 2, .replicas = 2, .script = "a", .pauses = 1}},
      {"two replicas, one crashes, one agent",
       {.agents = 1, .replicas = 2, .script = "aA", .endpoint_crashes = 1},
       true},
      {"two replicas, a commit in doubt, a cut",
       {.agents = 1, .replicas = 2, .script = "aA", .cuts = 1, .doubts = 1}},
  };
  return kWorlds;
}

}  // namespace fairlead::model
