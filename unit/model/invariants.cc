#include <algorithm>

#include "lib/base/strings.h"
#include "unit/model/world.h"

// What must hold in every state and in one where nothing goes on by itself.
namespace fairlead::model {

using base::StrCat;

namespace {

// Where an object was last known, alive or gone.
std::pair<uint64_t, uint64_t> StampOf(const Database& database, const std::string& name) {
  const auto row = database.rows().find(name);
  if (row != database.rows().end()) return {row->second.history, std::stoull(row->second.version)};
  const auto grave = database.graves().find(name);
  if (grave == database.graves().end()) return {0, 0};
  return {grave->second.history, std::stoull(grave->second.version)};
}

}  // namespace

std::string World::CheckCommit(const Database& before, const Endpoint::Work& work) {
  const auto [writer, first] =
      writers_.try_emplace({work.batch->epoch, work.batch->term}, work.writer);
  if (!first && writer->second != work.writer) {
    return StrCat("two writers in epoch ", work.batch->epoch, ", term ", work.batch->term);
  }
  std::string broken = CheckRows(before);
  return broken.empty() ? CheckPosition() : broken;
}

std::string World::CheckRows(const Database& before) const {
  const Database& after = *database_;
  for (const std::string name : {"a", "b", "c"}) {
    if (StampOf(after, name) < StampOf(before, name)) return StrCat(name, " went backwards");
    const auto old = before.rows().find(name);
    const auto row = after.rows().find(name);
    if (row == after.rows().end()) {
      if (old == before.rows().end() || api_->WentAway(old->second.uid)) continue;
      return StrCat("the row of ", name, " was deleted although it exists");
    }
    const Objects* then = api_->At(std::stoull(row->second.version));
    if (then == nullptr || !then->contains(name) || then->at(name).uid != row->second.uid) {
      return StrCat("a row of ", name, " that never was");
    }
    if (old == before.rows().end() || old->second.seq == row->second.seq) continue;
    if (old->second.history == row->second.history && old->second.version == row->second.version) {
      return StrCat(name, "@", row->second.version, " was written twice");
    }
  }
  return "";
}

// Rows show each change at or before the position, and nothing that was gone by then.
std::string World::CheckPosition() const {
  if (!database_->position() || database_->position()->version.empty()) return "";
  const uint64_t at = std::stoull(database_->position()->version);
  const Objects* truth = api_->At(at);
  if (truth == nullptr) return StrCat("a position at ", at, ", which never was");
  const bool happened = api_->Happened(at);
  const auto known = [&](uint64_t version) { return !happened || api_->Happened(version); };
  for (const auto& [name, object] : *truth) {
    const auto [history, version] = StampOf(*database_, name);
    if (api_->WentAway(object.uid)) continue;  // its DELETED is still to come
    if (version < object.version || !known(version)) {
      return StrCat("the position ", at, " overtook ", name, "@", object.version);
    }
  }
  for (const auto& [name, row] : database_->rows()) {
    const uint64_t version = std::stoull(row.version);
    if (truth->contains(name) || (version > at && known(version))) continue;
    return StrCat("the position ", at, " overtook the delete of ", name);
  }
  return "";
}

// What was acknowledged is there, or the database has lost it.
std::string World::CheckSeen() const {
  const store::ShardState& shard = database_->shard();
  for (const Part<Agent>& agent : agents_) {
    if (!agent->seen()) continue;
    const v1::ShardSeen& seen = *agent->seen();
    if (std::pair(seen.store_epoch(), seen.seq()) <= std::pair(shard.epoch, shard.last_seq))
      continue;
    if (lossy_) continue;
    return StrCat("batch ", seen.seq(), " was acknowledged and is not committed");
  }
  return "";
}

std::string World::AtRest() const {
  const Database& database = *database_;
  for (const auto& [name, object] : api_->objects()) {
    const auto row = database.rows().find(name);
    if (row == database.rows().end()) return StrCat("at rest: no row of ", name);
    if (row->second.uid != object.uid || row->second.version != std::to_string(object.version)) {
      return StrCat("at rest: the row of ", name, " is @", row->second.version, ", the object @",
                    object.version);
    }
  }
  for (const auto& [name, row] : database.rows()) {
    if (!api_->objects().contains(name))
      return StrCat("at rest: a row of ", name, ", which is gone");
  }
  if (!database.position() || database.position()->version != std::to_string(api_->version())) {
    return "at rest: the position is not the API server's";
  }
  // Whether its term is still the shard's it learns with its next batch.
  const bool served = std::any_of(agents_.begin(), agents_.end(),
                                  [](const Part<Agent>& agent) { return agent->watching(); });
  if (!served) return "at rest: no agent watches";
  return "";
}

base::U128 World::Fingerprint() const {
  std::string text =
      StrCat(left_.script, left_.writes, ".", left_.agent_crashes, ".", left_.endpoint_crashes, ".",
             left_.pauses, ".", left_.cuts, ".", left_.silences, ".", left_.doubts, ".",
             left_.api_cuts, ".", left_.compactions, ".", left_.audits, ".", left_.api_restores,
             ".", left_.database_losses, frozen_in_ ? " frozen" : "", lossy_ ? " lossy" : "");
  const auto add = [&](const base::U128& fingerprint) { text += base::ToBytes(fingerprint); };
  add(api_.Fingerprint());
  for (const Part<Agent>& agent : agents_) add(agent.Fingerprint());
  for (const Part<Endpoint>& replica : replicas_) add(replica.Fingerprint());
  for (const Link& link : links_) {
    text +=
        StrCat("link ", link.agent, ".", link.replica, ".", link.session, link.cut ? " cut" : "");
    for (const auto& one : link.up) add(one.fingerprint);
    text += "control";
    for (const auto& one : link.control) add(one.fingerprint);
    text += "changes";
    for (const auto& one : link.changes) add(one.fingerprint);
  }
  text += StrCat("database ", database_->owner(), ".", database_->holder());
  add(database_.Fingerprint());
  for (const Part<Database>& one : past_) add(one.Fingerprint());
  for (const auto& [term, writer] : writers_) {
    text += StrCat(" ", term.first, ".", term.second, "=", writer);
  }
  return FingerprintOf(text);
}

}  // namespace fairlead::model
