#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "endpoint/store/batch_writer.h"
#include "endpoint/store/body.h"
#include "lib/base/status.h"
#include "lib/sql/connection.h"

// The part of the BatchWriter that follows what an account's owner wants to see.
namespace fairlead::endpoint::store {

namespace {

bool Contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

absl::Status BatchWriter::OnEntry(const Batch&, const Rescope& rescope, BatchResult* result) {
  FAIRLEAD_ASSIGN_OR_RETURN(KindRow * kind, KindAt(rescope.kind));
  if (rescope.watches.empty()) return DropKind(kind, result);
  std::map<std::string, std::pair<int64_t, U128>> counted;  // rows and their sum, by watch
  std::map<std::string, int64_t> outside;                   // rows, by namespace
  const bool all = Contains(rescope.watches, "");
  {
    FAIRLEAD_ASSIGN_OR_RETURN(
        const auto query,
        connection_->Prepare("SELECT namespace, name, content_hash FROM objects WHERE kind = ?"));
    sql::Bind(*query, kind->id);
    for (;;) {
      FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
      if (!row) break;
      const std::string name_space(query->Text(0));
      if (!all && !Contains(rescope.watches, name_space)) {
        ++outside[name_space];
        continue;
      }
      auto& [rows, sum] = counted[Contains(rescope.watches, name_space) ? name_space : ""];
      ++rows;
      sum += base::SumTerm(KeyOf(kind->kind, name_space, std::string(query->Text(1))),
                           query->Number128(2));
    }
  }
  for (const auto& [name_space, rows] : outside) {
    result->deleted += static_cast<uint64_t>(rows);
    FAIRLEAD_RETURN_IF_ERROR(sql::Run(*connection_,
                                      "DELETE FROM objects WHERE kind = ? AND namespace = ?",
                                      kind->id, name_space)
                                 .status());
  }
  FAIRLEAD_RETURN_IF_ERROR(DropPositions(kind, rescope.watches));
  for (const std::string& watch : rescope.watches) {
    PositionRow& position = kind->positions[watch];
    std::tie(position.count, position.sum) = counted[watch];
    position.changed = true;
  }
  return absl::OkStatus();
}

// Of rows that a list did not have: those that the scope leaves out are no loss.
absl::Status BatchWriter::MarkOutside(const ScopeFilter& scope, Survey* survey) {
  for (Survey::Gone& one : survey->gone) {
    one.outside = Contains(scope.omit_namespaces, one.name.name_space);
    if (one.outside || !scope.only_spinnaker_managed) continue;
    FAIRLEAD_ASSIGN_OR_RETURN(const auto query,
                              connection_->Prepare("SELECT body FROM objects WHERE id = ?"));
    sql::Bind(*query, one.id);
    FAIRLEAD_ASSIGN_OR_RETURN(const bool row, query->Step());
    std::string body;
    if (!row || !Decompress(query->Text(0), &body)) continue;
    const auto view = objects_.ReadObject(body, {});
    one.outside = view.ok() && !view->managed_by_spinnaker;
  }
  return absl::OkStatus();
}

// Invisible at once; the reaper removes the rows in small steps.
absl::Status BatchWriter::DropKind(KindRow* kind, BatchResult* result) {
  for (const auto& [watch, position] : kind->positions) {
    result->deleted += static_cast<uint64_t>(position.count);
  }
  FAIRLEAD_RETURN_IF_ERROR(DropPositions(kind, {}));
  return sql::Run(*connection_, "UPDATE kinds SET shard = 0 WHERE id = ?", kind->id).status();
}

// What history the rows are of is known from any of them.
absl::Status BatchWriter::DropPositions(KindRow* kind, const std::vector<std::string>& but) {
  uint64_t history = 0;
  for (auto at = kind->positions.begin(); at != kind->positions.end();) {
    history = std::max(history, at->second.history);
    if (Contains(but, at->first)) {
      ++at;
      continue;
    }
    FAIRLEAD_RETURN_IF_ERROR(sql::Run(*connection_,
                                      "DELETE FROM positions WHERE kind = ? AND watch = ?",
                                      kind->id, at->first)
                                 .status());
    at = kind->positions.erase(at);
  }
  for (const std::string& watch : but) {
    const auto [position, fresh] = kind->positions.try_emplace(watch);
    if (fresh) position->second.history = history;
  }
  return absl::OkStatus();
}

}  // namespace fairlead::endpoint::store
