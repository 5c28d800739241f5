#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace fairlead::bench {

// A child process under measurement.
class Subject {
 public:
  // The program is looked for in PATH. It runs five steps nicer than this process, so that what
  // feeds it and takes from it does not wait for it: on a busy machine, too, it is saturated.
  // Output of the process goes into the file `log`.
  static absl::StatusOr<std::unique_ptr<Subject>> Start(const std::vector<std::string>& command,
                                                        const std::string& log);
  ~Subject();  // ends it (SIGTERM, after a while SIGKILL) and waits
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  // User and system time of all its threads, ended ones included.
  [[nodiscard]] double CpuMicros() const;
  // Highest and present resident memory; 0 when it is gone.
  [[nodiscard]] int64_t PeakKib() const { return StatusKib("VmHWM:"); }
  [[nodiscard]] int64_t ResidentKib() const { return StatusKib("VmRSS:"); }

 private:
  explicit Subject(pid_t pid) : pid_(pid) {}
  [[nodiscard]] int64_t StatusKib(const std::string& field) const;

  pid_t pid_;
};

}  // namespace fairlead::bench
