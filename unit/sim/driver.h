#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "unit/sim/world.h"

namespace fairlead::sim {

// Random writes and random faults over a World, and what must hold when they end: all from one
// seed. See Run().
class Driver {
 public:
  // `database` is a file that is not there yet. With `verbose` each step is printed.
  Driver(uint64_t seed, const std::string& database, bool verbose);
  // Steps, then calm, then: rows equal the clusters' objects, positions are at the clusters'
  // versions with true counts and sums, and an agent that restarts lists nothing and writes
  // nothing. "" or what is wrong.
  std::string Run();

 private:
  struct ClusterState {
    std::map<uint64_t, std::string> written;  // version -> what was written then
    std::map<uint64_t, std::string> undone;   // the same, of a history that a restore ended
    bool backed_up = false;
    bool restored = false;
    uint64_t canaries = 0;
  };

  uint64_t Pick(uint64_t below);
  bool Chance(uint64_t percent) { return Pick(100) < percent; }
  void Say(const std::string& what) const;

  void Step();
  void Write();
  void WriteOne(size_t account);
  void Pass();
  void TroubleCluster();
  void InjectFault(fakes::FakeKube* kube);
  void BackUp(size_t account);
  void Restore(size_t account);
  void PutCanaries(size_t account);
  void TroubleNetwork();
  void TroubleEndpoint();
  void TroubleAgents();
  void Calm();
  std::string Settle();
  std::string CheckQuietRestart();

  uint64_t random_;
  bool verbose_;
  World world_;
  std::vector<ClusterState> states_;
};

}  // namespace fairlead::sim
