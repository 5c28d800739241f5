#include "unit/model/real_store.h"

#include <algorithm>

#include "endpoint/store/reader.h"
#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/sql/connection.h"

namespace fairlead::model {

using base::StrCat;

namespace {

constexpr int kReplicas = 2;

// A result as far as both know it.
std::string Print(const store::BatchResult& result) {
  if (!result.status.ok()) return "refused";
  std::string text =
      StrCat("written ", result.written, " deleted ", result.deleted, " unchanged ",
             result.unchanged, " outdated ", result.outdated, " ended ", result.ended.size());
  for (const store::Want& want : result.wants) {
    text += " want";
    for (const store::ObjectName& name : want.names) text += StrCat(" ", name.name);
  }
  return text;
}

std::string Print(const std::vector<store::Position>& positions) {
  std::string text;
  for (const store::Position& one : positions) {
    text += StrCat(one.history, ".", one.resource_version, " rows ", one.count,
                   one.anchors_at_position ? " at position" : "");
    for (const store::Anchor& anchor : one.anchors) {
      text += StrCat(" ", anchor.object.name, ".", anchor.uid, "@", anchor.resource_version);
    }
  }
  return text;
}

std::string Different(const std::string& of, const std::string& real, const std::string& model) {
  return real == model ? "" : StrCat(of, ": the store has [", real, "], the model [", model, "]");
}

}  // namespace

RealStore::RealStore(const std::string& database) {
  auto opened = store::Store::Open({.sqlite_path = database}, &clock_);
  FAIRLEAD_CHECK(opened.ok());
  store_ = *std::move(opened);
  for (int i = 0; i < kReplicas; ++i) {
    writers_.push_back(std::make_unique<store::Writer>(
        &store_->connection(), &clock_, store::WriterOptions{.replica = store_->replica()}));
  }
}

RealStore::~RealStore() = default;

std::string RealStore::Compare(const std::vector<Endpoint::Work>& works) {
  const store::ShardKey shard{{9, ++shards_}, 0};
  FAIRLEAD_CHECK(store_->CreateShard(shard).ok());
  for (size_t i = 0; i < works.size(); ++i) {
    std::string difference = CompareOne(shard, works[i]);
    if (difference.empty()) {
      difference = Different("tables", Tables(shard), works[i].database);
    }
    if (!difference.empty()) return StrCat("operation ", i, ": ", difference);
  }
  return "";
}

std::string RealStore::CompareOne(const store::ShardKey& shard, const Endpoint::Work& work) {
  store::Writer& writer = *writers_[static_cast<size_t>(work.replica)];
  if (!work.batch) {
    writer.ForgetShard(shard);
    const auto term = store_->NewTerm(shard, StrCat("agent-", work.agent), work.seen);
    if (!term.ok()) return term.status().ToString();
    return Different("positions", Print(term->positions), Print(work.term.positions));
  }
  store::Batch batch = *work.batch;
  batch.shard = shard;
  std::vector<store::BatchResult> results;
  const absl::Status status = writer.Write({batch}, &results);
  if (!status.ok()) return status.ToString();
  return Different("result", Print(results.at(0)), Print(work.result));
}

// As Database::Print() prints it.
std::string RealStore::Tables(const store::ShardKey& shard) {
  sql::Connection& db = store_->connection();
  const std::string account = base::ToBytes(shard.account);
  const auto each = [&](std::string_view text, const auto& row) {
    auto query = db.Prepare(text);
    FAIRLEAD_CHECK(query.ok());
    sql::Bind(**query, sql::Blob{account});
    while (*(*query)->Step()) row(**query);
  };
  std::string out;
  each("SELECT store, term, last_seq FROM shards WHERE account = ?", [&](sql::Statement& row) {
    out += StrCat("e", row.Int(0), "t", row.Int(1), "s", row.Int(2));
  });
  each(
      "SELECT o.name, o.uid, o.history, o.resource_version, o.seq FROM objects o JOIN kinds k ON "
      "k.id = o.kind JOIN shards s ON s.id = k.shard WHERE s.account = ? ORDER BY o.name",
      [&](sql::Statement& row) {
        out += StrCat(" ", row.Text(0), "=", row.Text(1), "@", row.Int(2), ".", row.Text(3), "#",
                      row.Int(4));
      });
  each(
      "SELECT t.name, t.history, t.resource_version FROM tombstones t JOIN kinds k ON "
      "k.id = t.kind JOIN shards s ON s.id = k.shard WHERE s.account = ? ORDER BY t.name",
      [&](sql::Statement& row) {
        out += StrCat(" -", row.Text(0), "@", row.Int(1), ".", row.Text(2));
      });
  const auto positions = store::ReadPositions(db, shard, /*anchors=*/true);
  FAIRLEAD_CHECK(positions.ok());
  for (const store::Position& one : *positions) {
    out += StrCat(" at ", one.history, ".", one.resource_version);
    if (!one.anchors_at_position) continue;
    for (const store::Anchor& anchor : one.anchors) {
      out += StrCat(",", anchor.object.name, "@", anchor.resource_version);
    }
  }
  return out;
}

}  // namespace fairlead::model
