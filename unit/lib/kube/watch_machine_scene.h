#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/kube/watch_machine.h"
#include "unit/lib/kube/watch_actions.h"

namespace fairlead::kube {

// A WatchMachine over Pods of one namespace, and what a server says to it.
class WatchMachineTest : public ::testing::Test {
 protected:
  using Strings = std::vector<std::string>;

  static ApiError Error(int code, Reason reason) {
    ApiError error;
    error.code = code;
    error.reason = reason;
    return error;
  }
  static ApiError Expired(const std::string& token = "") {
    ApiError error = Error(410, Reason::kExpired);
    error.continue_token = token;
    return error;
  }
  static inline const ApiError kLost = TransportError(absl::UnavailableError("connection lost"));

  static ObjectRef Pod(std::string_view name, std::string_view version,
                       std::string_view uid = "u") {
    return {"shop", name, uid, version};
  }

  static Anchor AnchorAt(const std::string& name, const std::string& version) {
    return {"shop", name, "u", version};
  }

  static Position At(const std::string& version, std::vector<Anchor> anchors, uint64_t count = 5) {
    Position position;
    position.history = 3;
    position.resource_version = version;
    position.anchors = std::move(anchors);
    position.count = count;
    return position;
  }

  // The machine after a proven position at `version`, its stream open.
  void Watching(const std::string& version = "41") {
    (void)machine_.Start(At(version, {AnchorAt("web", "40")}), now_);
    (void)machine_.OnProbe(version, false, now_);
    EXPECT_THAT(Words(machine_.OnAnchor(Pod("web", "40"), now_)),
                ::testing::ElementsAre("watch " + version));
    (void)machine_.OnWatchOpened(now_);
    ASSERT_EQ(machine_.state(), WatchState::kWatching);
  }
  // A first snapshot, admitted.
  void Listing() {
    EXPECT_THAT(Words(machine_.Start(std::nullopt, now_)), ::testing::ElementsAre("probe"));
    EXPECT_THAT(Words(machine_.OnProbe("9", false, now_)),
                ::testing::ElementsAre("admission First"));
    EXPECT_THAT(Words(machine_.OnSnapshotAdmitted(now_)), ::testing::ElementsAre("list "));
  }
  // Moves to NextWake() and ticks.
  Strings Wake() {
    now_ = std::max(now_, machine_.NextWake());
    return Words(machine_.Tick(now_));
  }

  base::Time now_{std::chrono::hours(1)};
  WatchMachine machine_{WatchOptions{.seed = 7}};
};

}  // namespace fairlead::kube
