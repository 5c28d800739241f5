#include "unit/database/server.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/status.h"

namespace fairlead::test {
namespace {

constexpr auto kMostStart = std::chrono::seconds(60);

// `root` and its descendants (field 4 of /proc/PID/stat is the parent).
std::vector<pid_t> Family(pid_t root) {
  std::vector<pid_t> family = {root};
  for (size_t i = 0; i < family.size(); ++i) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      std::ifstream file(entry.path() / "stat");
      std::string line;
      if (!std::getline(file, line)) continue;
      int parent = 0;
      if (std::sscanf(line.c_str() + line.rfind(')') + 1, " %*c %d", &parent) == 1 &&
          parent == family[i]) {
        family.push_back(static_cast<pid_t>(std::stol(name)));
      }
    }
  }
  return family;
}

// Whether every thread of the process is in this state; also when it is no more.
bool Is(char wanted, pid_t process) {
  std::error_code gone;
  const std::filesystem::directory_iterator tasks(base::StrCat("/proc/", process, "/task"), gone);
  return std::all_of(begin(tasks), end(tasks), [wanted](const auto& task) {
    std::ifstream file(task.path() / "stat");
    std::string line;
    std::getline(file, line);
    const size_t state = line.rfind(')') + 2;
    return state >= line.size() || line[state] == wanted;
  });
}

bool Stopped(pid_t process) { return Is('T', process); }
// Or dead and not waited for.
bool Gone(pid_t process) { return Is('Z', process); }

}  // namespace

DatabaseServer::DatabaseServer(Engine engine, Fsync fsync) : engine_(engine), fsync_(fsync) {
  std::string pattern = std::filesystem::temp_directory_path() / "fairlead-database-XXXXXX";
  FAIRLEAD_CHECK(mkdtemp(pattern.data()) != nullptr);
  FAIRLEAD_CHECK(chmod(pattern.c_str(), 0755) == 0);
  folder_ = pattern;
}

DatabaseServer::~DatabaseServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

DatabaseServer& DatabaseServer::Shared(Engine engine) {
  static auto* postgres = new std::unique_ptr<DatabaseServer>;
  static auto* mysql = new std::unique_ptr<DatabaseServer>;
  auto& server = engine == Engine::kPostgres ? *postgres : *mysql;
  if (server == nullptr) {
    server = std::make_unique<DatabaseServer>(engine);
    const absl::Status started = server->Start();
    if (!started.ok()) std::fprintf(stderr, "%s\n", started.ToString().c_str());
    FAIRLEAD_CHECK(started.ok());
    std::atexit(+[] {
      postgres->reset();
      mysql->reset();
    });
  }
  return *server;
}

absl::Status DatabaseServer::Start() {
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const int log = open((folder_ + "/log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    setenv("FSYNC", fsync_ == Fsync::kOn ? "on" : "off", 1);
    execl(FAIRLEAD_SERVE, FAIRLEAD_SERVE, engine_ == Engine::kPostgres ? "postgresql" : "mariadb",
          folder_.c_str(), nullptr);
    _exit(127);
  }
  const auto until = std::chrono::steady_clock::now() + kMostStart;
  absl::Status why;
  while (std::chrono::steady_clock::now() < until) {
    const auto connection = sql::Open(
        OptionsOf(engine_ == Engine::kPostgres ? "postgres" : "mysql"), sql::Access::kReadWrite);
    if (connection.ok()) return absl::OkStatus();
    why = connection.status();
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::string text;
  for (const char* name : {"/init.log", "/log"}) {
    std::ifstream log(folder_ + name);
    text.append(std::istreambuf_iterator<char>(log), std::istreambuf_iterator<char>());
  }
  return base::WithContext(why, base::StrCat("the server does not come up; its logs:\n", text));
}

void DatabaseServer::Kill() {
  if (pid_ == 0) return;
  kill(pid_, SIGSTOP);  // it has no more children from now on
  const std::vector<pid_t> family = Family(pid_);
  Signal(SIGKILL);
  waitpid(pid_, nullptr, 0);
  // PostgreSQL does not start while a process of the one before has its shared memory.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!std::all_of(family.begin(), family.end(), Gone) &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  pid_ = 0;
  std::error_code ignored;
  std::filesystem::remove(folder_ + "/data/postmaster.pid", ignored);
}

// A signal is on its way for a while, to each thread: until they all stand still they may answer.
void DatabaseServer::Pause() {
  Signal(SIGSTOP);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  const auto stand_still = [this] {
    const std::vector<pid_t> family = Family(pid_);
    return std::all_of(family.begin(), family.end(), Stopped);
  };
  while (!stand_still() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
}
void DatabaseServer::Continue() { Signal(SIGCONT); }

// Fields 14 to 17 of /proc/PID/stat: its own time and that of the children it has waited for.
double DatabaseServer::CpuMicros() const {
  int64_t ticks = 0;
  for (const pid_t one : Family(pid_)) {
    std::ifstream file(base::StrCat("/proc/", one, "/stat"));
    std::string line;
    if (!std::getline(file, line)) continue;
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    std::string skipped;
    for (int i = 3; i < 14; ++i) fields >> skipped;
    for (int i = 14; i < 18; ++i) {
      int64_t value = 0;
      fields >> value;
      ticks += value;
    }
  }
  return static_cast<double>(ticks) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void DatabaseServer::Signal(int number) const {
  for (const pid_t one : Family(pid_)) kill(one, number);
}

sql::DatabaseOptions DatabaseServer::OptionsOf(const std::string& database) const {
  if (engine_ == Engine::kPostgres) {
    return {.url = base::StrCat("postgresql:///", database, "?user=postgres&host=", folder_)};
  }
  return {.url = base::StrCat("mariadb://root@/", database, "?socket=", folder_, "/mariadb.sock")};
}

absl::StatusOr<sql::DatabaseOptions> DatabaseServer::MakeDatabase() {
  const std::string name = base::StrCat("test", ++databases_);
  FAIRLEAD_ASSIGN_OR_RETURN(
      const auto connection,
      sql::Open(OptionsOf(engine_ == Engine::kPostgres ? "postgres" : "mysql"),
                sql::Access::kReadWrite));
  if (engine_ == Engine::kPostgres) {  // a schema is made in no time; a database is a copy of files
    FAIRLEAD_RETURN_IF_ERROR(connection->Execute(base::StrCat("CREATE SCHEMA ", name)));
    sql::DatabaseOptions options = OptionsOf("postgres");
    options.url += base::StrCat("&options=-csearch_path%3D", name);
    return options;
  }
  FAIRLEAD_RETURN_IF_ERROR(connection->Execute(base::StrCat("CREATE DATABASE ", name)));
  return OptionsOf(name);
}

sql::DatabaseOptions NewDatabase(sql::Dialect::Engine engine, const std::string& folder) {
  if (engine == sql::Dialect::Engine::kSqlite) return {.sqlite_path = folder + "/test.db"};
  const auto made = DatabaseServer::Shared(engine).MakeDatabase();
  if (!made.ok()) std::fprintf(stderr, "%s\n", made.status().ToString().c_str());
  FAIRLEAD_CHECK(made.ok());
  return *made;
}

std::string NameOf(sql::Dialect::Engine engine) {
  switch (engine) {
    case sql::Dialect::Engine::kSqlite:
      return "Sqlite";
    case sql::Dialect::Engine::kPostgres:
      return "Postgres";
    case sql::Dialect::Engine::kMysql:
      return "Mariadb";
  }
  return "";
}

}  // namespace fairlead::test
