#pragma once

#include <ostream>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "lib/base/strings.h"
#include "lib/kube/watch_types.h"

// Actions of a WatchMachine as short words, so that tests compare whole sequences.
namespace fairlead::kube {

inline std::string Word(const Action& action) {
  using base::StrCat;
  return std::visit(
      [](const auto& one) -> std::string {
        using T = std::decay_t<decltype(one)>;
        if constexpr (std::is_same_v<T, RequestAdmission>) {
          return StrCat("admission ", SnapshotReasonName(one.reason));
        } else if constexpr (std::is_same_v<T, OpenProbe>) {
          return "probe";
        } else if constexpr (std::is_same_v<T, OpenAnchorCheck>) {
          return one.exact_version.empty()
                     ? StrCat("anchor ", one.anchor.name, "@", one.anchor.resource_version)
                     : StrCat("exact ", one.anchor.name, "@", one.exact_version);
        } else if constexpr (std::is_same_v<T, OpenList>) {
          return StrCat("list ", one.continue_token);
        } else if constexpr (std::is_same_v<T, OpenWatch>) {
          return StrCat("watch ", one.resource_version);
        } else if constexpr (std::is_same_v<T, CloseWatch>) {
          return "close watch";
        } else if constexpr (std::is_same_v<T, CloseList>) {
          return "close list";
        } else if constexpr (std::is_same_v<T, CloseCheck>) {
          return "close check";
        } else if constexpr (std::is_same_v<T, EmitChange>) {
          return one.type == EventType::kDeleted ? "delete" : "upsert";
        } else if constexpr (std::is_same_v<T, EmitSnapshotBegin>) {
          return StrCat("begin ", SnapshotReasonName(one.reason));
        } else if constexpr (std::is_same_v<T, EmitSnapshotItem>) {
          return "item";
        } else if constexpr (std::is_same_v<T, DropPage>) {
          return "drop page";
        } else if constexpr (std::is_same_v<T, EmitSnapshotPage>) {
          return "page";
        } else if constexpr (std::is_same_v<T, AwaitWants>) {
          return "wants";
        } else if constexpr (std::is_same_v<T, EmitSnapshotEnd>) {
          return StrCat("end ", one.resource_version, one.consistent ? "" : " inconsistent");
        } else if constexpr (std::is_same_v<T, SnapshotAbandoned>) {
          return "abandoned";
        } else if constexpr (std::is_same_v<T, PositionMoved>) {
          return "moved";
        } else {
          return StrCat("state ", WatchStateName(one.state));
        }
      },
      action);
}

// Without changes of state unless `states`.
inline std::vector<std::string> Words(const Actions& actions, bool states = false) {
  std::vector<std::string> words;
  for (const Action& action : actions) {
    if (states || !std::holds_alternative<StateChanged>(action)) words.push_back(Word(action));
  }
  return words;
}

}  // namespace fairlead::kube
