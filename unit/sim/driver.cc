#include "unit/sim/driver.h"

#include <cstdio>
#include <utility>

#include "lib/base/backoff.h"
#include "lib/base/strings.h"

namespace fairlead::sim {

using base::milliseconds;
using base::minutes;
using base::seconds;
using base::StrCat;
using Lane = fakes::MemoryAgentNetwork::Lane;

namespace {

constexpr int kSteps = 60;
constexpr size_t kAgents = 2;

template <typename T, size_t N>
T One(const T (&of)[N], uint64_t random) {
  return of[random % N];
}

WorldOptions OptionsOf(uint64_t seed, const std::string& database) {
  uint64_t random = seed * 7919;
  const auto next = [&] { return base::NextRandom(&random); };
  WorldOptions options;
  options.seed = next();
  options.database = database;
  options.accounts = 1 + next() % 2;
  options.per_namespace = next() % 4 == 0;
  if (next() % 4 == 0) options.most_delete_count = 2;
  options.concurrent_snapshots = One<size_t>({1, 2, 8}, next());
  options.pending_bytes = One<size_t>({2'000, 20'000, 16'000'000}, next());
  options.batch_bytes = One<size_t>({300, 3'000, 262'144}, next());
  options.checkpoint_interval = seconds(One<int>({1, 20, 120}, next()));
  options.most_per_page = One<uint64_t>({0, 1, 3, 7}, next());
  if (next() % 2 == 0) options.recent_bytes = 16;
  return options;
}

}  // namespace

Driver::Driver(uint64_t seed, const std::string& database, bool verbose)
    : random_(seed), verbose_(verbose), world_(OptionsOf(seed, database)) {
  states_.resize(world_.accounts());
  if (verbose_) world_.Observe([this](const std::string& batch) { Say(batch); });
}

uint64_t Driver::Pick(uint64_t below) { return base::NextRandom(&random_) % below; }

void Driver::Say(const std::string& what) const {
  if (!verbose_) return;
  const auto at = world_.now().time_since_epoch() - base::hours(1);
  std::fprintf(stderr, "%9.3f %s\n", static_cast<double>(base::AgeMs(at)) / 1000, what.c_str());
}

std::string Driver::Run() {
  for (int i = 0; i < 10; ++i) Write();
  if (Chance(80)) world_.StartEndpoint();
  if (Chance(80)) world_.StartAgent(0);
  for (int i = 0; i < kSteps; ++i) Step();
  Calm();
  if (std::string found = Settle(); !found.empty()) return found;
  return CheckQuietRestart();
}

void Driver::Step() {
  const uint64_t what = Pick(100);
  if (!world_.endpoint_up() && Chance(30)) world_.StartEndpoint();
  if (!world_.agent_up(0) && !world_.agent_up(1) && Chance(30)) world_.StartAgent(0);
  if (what < 40) {
    Write();
  } else if (what < 60) {
    TroubleCluster();
  } else if (what < 70) {
    TroubleNetwork();
  } else if (what < 77) {
    TroubleEndpoint();
  } else if (what < 84) {
    TroubleAgents();
  }
  Pass();
}

void Driver::Pass() {
  const uint64_t what = Pick(100);
  base::Duration by = milliseconds(Pick(30));
  if (what < 40) by = milliseconds(Pick(400));
  if (what < 15) by = milliseconds(Pick(4'000));
  if (what < 4) by = seconds(5 + Pick(40));
  if (what < 1) by = seconds(130);
  world_.Advance(by);
}

// ---- Writes.

void Driver::Write() {
  const size_t account = Pick(world_.accounts());
  const uint64_t count = Chance(20) ? 30 : 1 + Pick(4);
  for (uint64_t i = 0; i < count; ++i) WriteOne(account);
}

void Driver::WriteOne(size_t account) {
  fakes::FakeKube& kube = world_.kube(account);
  ClusterState& state = states_[account];
  const std::string kind = One(World::kKinds, Pick(1000));
  const std::string name_space = One(World::kNamespaces, Pick(1000));
  const std::string name = StrCat("o", Pick(9));
  const std::string what = StrCat(kind, " ", name_space, "/", name);
  // The same object written at the same version as in a history that was undone cannot be told
  // apart, by anybody.
  for (auto same = state.undone.find(kube.version() + 1);
       same != state.undone.end() && same->second == what;
       same = state.undone.find(kube.version() + 1)) {
    kube.Put("namespaces", "", "elsewhere");
  }
  if (Chance(35)) {
    const uint64_t before = kube.version();
    if (kube.Delete(kind, name_space, name) == before) return;
  } else {
    std::string pad(Chance(20) ? Pick(2'000) : 10, 'x');
    if (kind == "secrets") pad += World::kSecretValue;
    kube.Put(kind, name_space, name,
             StrCat(R"("data":{"n":")", Pick(3), R"(","pad":")", pad, "\"}"));
  }
  state.written[kube.version()] = what;
  Say(StrCat("write ", account, " ", what, "@", kube.version()));
}

// ---- Trouble.

void Driver::TroubleCluster() {
  const size_t account = Pick(world_.accounts());
  fakes::FakeKube& kube = world_.kube(account);
  const std::string kind = One(World::kKinds, Pick(1000));
  switch (Pick(10)) {
    case 9: {
      const uint64_t most = One<uint64_t>({0, 10, 200, 3'000}, Pick(1000));
      Say(StrCat("answers travel up to ", most, " ms"));
      return world_.set_answer_delay(milliseconds(most));
    }
    case 0:
      Say(StrCat("watches of ", kind, " end"));
      return kube.EndWatches(kind, Chance(50));
    case 1:
      // A restore cannot be told either when a compaction hides the versions that would tell.
      if (states_[account].backed_up) return;
      Say(StrCat("account-", account, " compacts"));
      return kube.Compact();
    case 2:
      return kube.Bookmark(kind);
    case 3:
      return BackUp(account);
    case 4:
      return Restore(account);
    case 5: {
      const bool reachable = Chance(70);
      Say(StrCat("account-", account, reachable ? " reachable" : " unreachable"));
      world_.SetReachable(account, reachable);
      if (reachable) return;
      for (const char* one : World::kKinds) kube.EndWatches(one, true);
      return;
    }
    case 6:
      kube.set_offers_inconsistent_token(Chance(50));
      return;
    default:
      return InjectFault(&kube);
  }
}

void Driver::InjectFault(fakes::FakeKube* kube) {
  static constexpr const char* kParts[] = {"/pods",     "/configmaps", "/secrets", "/widgets",
                                           "limit=500", "continue=",   "watch=",   "limit=1&",
                                           "limit=1",   "/api",        "GET"};
  const char* part = One(kParts, Pick(1000));
  fakes::Fault fault;
  switch (Pick(9)) {
    case 0:
      fault = {.status = 429, .reason = "TooManyRequests", .retry_after_seconds = 1};
      break;
    case 1:
      fault = {.status = 403, .reason = "Forbidden"};
      break;
    case 2:
      fault = {.status = 404, .reason = "NotFound", .body = "404 page not found\n"};
      break;
    case 3:
      fault = {.status = 500, .reason = "InternalError"};
      break;
    case 4:
      // Elsewhere it would say that versions were compacted which were not.
      part = Chance(50) ? "continue=" : "watch=";
      fault = {.status = 410, .reason = "Expired"};
      break;
    case 5:
      fault = {.cut_after = Pick(3'000)};
      break;
    case 6:
      fault = {.never = true};
      break;
    default:
      fault = {.slice = 1 + Pick(200)};
      break;
  }
  const int times = static_cast<int>(1 + Pick(4));
  Say(StrCat("fault ", fault.status, fault.never ? " never" : "", fault.cut_after ? " cut" : "",
             " x", times, " for ", part));
  kube->Inject(part, fault, times);
}

// Only while every watch is open: of what comes in one batch, as a list does, the store cannot say
// which row is the newest, so that the upsert that would tell of a restore may be no anchor.
void Driver::BackUp(size_t account) {
  for (const char* kind : World::kKinds) {
    if (world_.kube(account).open_watches(kind) == 0) return;
  }
  Say(StrCat("account-", account, " backs up"));
  world_.kube(account).Backup();
  states_[account].backed_up = true;
  PutCanaries(account);
}

// A restore is told by an upsert that it undid: one that undid nothing but deletes looks like no
// restore (the anchors of a position are surviving upserts). So each watch has one before anything
// else happens.
void Driver::PutCanaries(size_t account) {
  fakes::FakeKube& kube = world_.kube(account);
  const std::string name = StrCat("canary-", ++states_[account].canaries);
  for (const char* kind : World::kKinds) {
    for (const char* name_space : World::kNamespaces) kube.Put(kind, name_space, name);
  }
}

void Driver::Restore(size_t account) {
  ClusterState& state = states_[account];
  if (!state.backed_up || state.restored) return;
  state.restored = true;
  fakes::FakeKube& kube = world_.kube(account);
  const uint64_t before = kube.version();
  kube.Restore();
  Say(StrCat("account-", account, " is restored: ", before, " -> ", kube.version()));
  for (auto at = state.written.upper_bound(kube.version()); at != state.written.end();) {
    state.undone.insert(*at);
    at = state.written.erase(at);
  }
}

void Driver::TroubleNetwork() {
  fakes::MemoryAgentNetwork& network = world_.network();
  static constexpr Lane kLanes[] = {Lane::kControlUp, Lane::kControlDown, Lane::kChangesUp,
                                    Lane::kChangesDown};
  switch (Pick(5)) {
    case 0:
      Say("connections cut");
      return network.Cut("");
    case 1: {
      const Lane lane = One(kLanes, Pick(1000));
      const bool stalled = Chance(40);
      Say(StrCat("lane ", static_cast<int>(lane), stalled ? " stalled" : " flows"));
      return network.Stall(lane, stalled);
    }
    case 2:
      return network.set_lossy(Chance(50));
    case 3:
      for (const Lane lane : kLanes) network.Stall(lane, false);
      return;
    default: {
      const uint64_t most = One<uint64_t>({0, 5, 100, 1'500}, Pick(1000));
      Say(StrCat("messages travel up to ", most, " ms"));
      return network.set_delay(
          [this, most](Lane) { return milliseconds(most == 0 ? 0 : Pick(most)); });
    }
  }
}

void Driver::TroubleEndpoint() {
  if (!world_.endpoint_up()) {
    Say("endpoint starts");
    return world_.StartEndpoint();
  }
  switch (Pick(6)) {
    case 0:
      Say("endpoint crashes");
      return world_.CrashEndpoint();
    case 1:
      Say("endpoint restarts");
      world_.CrashEndpoint();
      return world_.StartEndpoint();
    case 2: {
      const bool paused = Chance(50);
      Say(paused ? "writer stands still" : "writer goes on");
      return world_.writer().SetPaused(paused);
    }
    case 3: {
      const size_t account = Pick(world_.accounts());
      Say(StrCat("account-", account, " changes"));
      return world_.ChangeAccount(account);
    }
    default: {
      using Kind = WriteFault::Kind;
      const Kind kind =
          One<Kind>({Kind::kStatement, Kind::kCommitLost, Kind::kCommitLanded}, Pick(1000));
      Say(StrCat("write fault ", static_cast<int>(kind)));
      return world_.writer().Plan({kind, static_cast<int>(1 + Pick(60))});
    }
  }
}

void Driver::TroubleAgents() {
  const size_t slot = Pick(kAgents);
  if (!world_.agent_up(slot)) {
    Say(StrCat("agent ", slot, " starts"));
    return world_.StartAgent(slot);
  }
  Say(StrCat("agent ", slot, " crashes"));
  world_.CrashAgent(slot);
  if (!Chance(60)) return;
  Say(StrCat("agent ", slot, " starts"));
  world_.StartAgent(slot);
}

// ---- The end.

void Driver::Calm() {
  Say("calm");
  fakes::MemoryAgentNetwork& network = world_.network();
  network.set_delay(nullptr);
  network.set_lossy(false);
  world_.set_answer_delay(milliseconds(0));
  for (const Lane lane :
       {Lane::kControlUp, Lane::kControlDown, Lane::kChangesUp, Lane::kChangesDown}) {
    network.Stall(lane, false);
  }
  for (size_t i = 0; i < world_.accounts(); ++i) {
    world_.kube(i).ClearFaults();
    world_.SetReachable(i, true);
  }
  if (!world_.endpoint_up()) world_.StartEndpoint();
  world_.writer().SetPaused(false);
  if (!world_.agent_up(0)) world_.StartAgent(0);
}

std::string Driver::Settle() {
  const auto bookmark = [this] {
    for (size_t i = 0; i < world_.accounts(); ++i) {
      for (const char* kind : World::kKinds) world_.kube(i).Bookmark(kind);
    }
  };
  // Longest is a request that is never answered (10 minutes), then a wait for a stream's place.
  std::string found;
  for (int i = 0; i < 60; ++i) {
    world_.Advance(seconds(15));
    found = world_.Difference();
    if (!found.empty()) continue;
    bookmark();
    world_.Advance(seconds(125));
    found = world_.Difference();
    if (!found.empty()) return StrCat("rows were equal once: ", found);
    found = world_.PositionsBehind();
    if (found.empty()) return "";
  }
  return found;
}

std::string Driver::CheckQuietRestart() {
  Say("quiet restart");
  std::vector<int> lists;
  for (size_t i = 0; i < world_.accounts(); ++i) {
    lists.push_back(world_.kube(i).CountRequests("limit=500"));
  }
  const uint64_t written = world_.writer().written();
  const uint64_t deleted = world_.writer().deleted();
  if (world_.agent_up(1)) world_.CrashAgent(1);
  world_.CrashAgent(0);
  world_.StartAgent(0);
  world_.Advance(seconds(30));
  if (world_.writer().written() != written || world_.writer().deleted() != deleted) {
    return "a quiet restart wrote rows";
  }
  for (size_t i = 0; i < world_.accounts(); ++i) {
    if (world_.kube(i).CountRequests("limit=500") != lists[i]) return "a quiet restart listed";
    for (const char* kind : World::kKinds) {
      if (world_.kube(i).open_watches(kind) == 0) return StrCat("no watch of ", kind, " is open");
    }
  }
  for (size_t i = 0; i < world_.accounts(); ++i) {
    for (int n = 0; n < 5; ++n) WriteOne(i);
  }
  world_.Advance(seconds(5));
  return world_.Difference();
}

}  // namespace fairlead::sim
