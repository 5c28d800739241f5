#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/workload.h"

namespace fairlead::bench {

// Conservation: what of a workload arrived, object by object. Pure; one thread.
class Ledger {
 public:
  explicit Ledger(const Workload& workload);

  // One object as it arrived: `text` holds at least its annotations, as the subject sent them.
  // A wrong uid, an unknown name, a text of another version, or a change older than what was there
  // is a fault.
  void Object(std::string_view name, std::string_view uid, std::string_view resource_version,
              std::string_view text, bool change);
  void Fault(std::string_view what);

  // Every object came once.
  [[nodiscard]] bool synced() const { return known_ == workload_.objects; }
  // Every object is there as the last of its events left it.
  [[nodiscard]] bool complete() const { return behind_ == 0; }
  [[nodiscard]] uint64_t items() const { return items_; }
  [[nodiscard]] uint64_t changes() const { return changes_; }
  [[nodiscard]] uint64_t faults() const { return faults_; }
  [[nodiscard]] const std::string& first_fault() const { return first_fault_; }

 private:
  Workload workload_;
  std::vector<uint64_t> newest_;  // resourceVersion that arrived; 0 = none
  std::vector<uint64_t> last_;    // resourceVersion it must end with
  uint64_t known_ = 0;
  uint64_t behind_ = 0;
  uint64_t items_ = 0;
  uint64_t changes_ = 0;
  uint64_t faults_ = 0;
  std::string first_fault_;
};

}  // namespace fairlead::bench
