#include "bench/subject.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>

#include "lib/base/strings.h"

namespace fairlead::bench {

absl::StatusOr<std::unique_ptr<Subject>> Subject::Start(const std::vector<std::string>& command,
                                                        const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& one : command) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0644);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, arguments[0], &files, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) {
    return absl::UnavailableError(
        base::StrCat("cannot start ", command[0], ": ", std::strerror(failed)));
  }
  setpriority(PRIO_PROCESS, static_cast<id_t>(pid), getpriority(PRIO_PROCESS, 0) + 5);
  return std::unique_ptr<Subject>(new Subject(pid));
}

Subject::~Subject() {
  kill(pid_, SIGTERM);  // a profiler writes its report now
  for (int tries = 0; tries < 1000; ++tries) {
    if (waitpid(pid_, nullptr, WNOHANG) != 0) return;
    usleep(10'000);
  }
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

double Subject::CpuMicros() const {
  clockid_t clock = 0;
  timespec time{};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

int64_t Subject::StatusKib(const std::string& field) const {
  std::ifstream status(base::StrCat("/proc/", pid_, "/status"));
  std::string word;
  while (status >> word) {
    if (word != field) continue;
    int64_t kib = 0;
    status >> kib;
    return kib;
  }
  return 0;
}

}  // namespace fairlead::bench
