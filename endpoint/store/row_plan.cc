#include "endpoint/store/row_plan.h"

#include <utility>

namespace fairlead::endpoint::store {

void RowPlan::Load(const RowKey& key, RowState state) {
  Entry& entry = entries_[key];
  entry.planned = state;
  entry.stored = std::move(state);
  entry.content.reset();
}

void RowPlan::Put(const RowKey& key, StoredRow row, const RowContent& content) {
  Entry& entry = entries_.at(key);
  row.id = entry.stored.row ? entry.stored.row->id : 0;
  entry.planned = {std::move(row), std::nullopt};
  entry.content = content;
}

void RowPlan::Confirm(const RowKey& key, uint64_t history, const std::string& version) {
  StoredRow& row = *entries_.at(key).planned.row;
  row.held = false;
  if (history <= row.history) return;
  row.history = history;
  row.resource_version = version;
}

void RowPlan::SetVersion(const RowKey& key, uint64_t history, const std::string& version) {
  StoredRow& row = *entries_.at(key).planned.row;
  row.history = history;
  row.resource_version = version;
}

void RowPlan::Bury(const RowKey& key, Tombstone tombstone) {
  Entry& entry = entries_[key];
  entry.planned = {std::nullopt, std::move(tombstone)};
  entry.content.reset();
}

RowWrites RowPlan::Writes() const {
  RowWrites writes;
  for (const auto& [key, entry] : entries_) {
    const auto& [stored, planned, content] = entry;
    if (content) {
      writes.put.push_back({&key, &*planned.row, &*content});
    } else if (planned.row) {
      const bool same = planned.row->held == stored.row->held &&
                        planned.row->history == stored.row->history &&
                        planned.row->resource_version == stored.row->resource_version;
      if (!same) writes.confirmed.push_back(&*planned.row);
    } else if (stored.row) {
      writes.removed.push_back(stored.row->id);
    }
    if (planned.tombstone == stored.tombstone) continue;
    if (planned.tombstone) {
      writes.buried.push_back({&key, &*planned.tombstone});
    } else {
      writes.dug_up.push_back(&key);
    }
  }
  return writes;
}

}  // namespace fairlead::endpoint::store
