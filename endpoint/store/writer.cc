#include "endpoint/store/writer.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "endpoint/store/batch_writer.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/sql/connection.h"

namespace fairlead::endpoint::store {

namespace {

// Whether the same batches may simply be given again.
bool Transient(const absl::Status& status) {
  return status.code() == absl::StatusCode::kResourceExhausted ||
         status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDataLoss ||
         status.code() == absl::StatusCode::kInternal;
}

}  // namespace

class Writer::Impl {
 public:
  Impl(sql::Connection* connection, const base::Clock* clock, const WriterOptions& options)
      : connection_(connection),
        replica_(options.replica),
        batch_writer_(connection, clock, options) {}

  absl::Status Write(const std::vector<Batch>& batches, std::vector<BatchResult>* results) {
    std::set<ShardKey> lost;  // fenced off: found by an attempt before
    // What a machine's death takes is noticed by its shard's last_seq, and sent again.
    FAIRLEAD_RETURN_IF_ERROR(connection_->SetDurability(sql::Durability::kNormal));
    for (;;) {
      results->assign(batches.size(), {});
      sql::Transaction transaction(connection_);
      FAIRLEAD_RETURN_IF_ERROR(transaction.Begin());
      std::set<ShardKey> failed = lost;
      FAIRLEAD_RETURN_IF_ERROR(ApplyAll(batches, &failed, results));
      std::optional<ShardKey> fenced;
      FAIRLEAD_RETURN_IF_ERROR(Fence(batches, *results, &fenced));
      if (fenced) {
        // Nothing of this attempt lands; the others are written again without that shard.
        lost.insert(*fenced);
        continue;
      }
      FAIRLEAD_RETURN_IF_ERROR(Commit(&transaction, batches, *results));
      batch_writer_.Committed();
      return absl::OkStatus();
    }
  }

  void ForgetShard(const ShardKey& shard) { batch_writer_.ForgetShard(shard); }
  [[nodiscard]] size_t snapshot_keys() const { return batch_writer_.snapshot_keys(); }

 private:
  absl::Status ApplyAll(const std::vector<Batch>& batches, std::set<ShardKey>* failed,
                        std::vector<BatchResult>* results) {
    for (size_t i = 0; i < batches.size(); ++i) {
      const Batch& batch = batches[i];
      BatchResult& result = (*results)[i];
      if (failed->contains(batch.shard)) {
        result.status =
            absl::AbortedError("not the shard's writer any more, or a batch before this failed");
        continue;
      }
      FAIRLEAD_RETURN_IF_ERROR(ApplyOne(batch, BatchWriter::Rows::kTogether, &result));
      // One row that the database would not take: all again, each with a way back of its own.
      if (OfTheRow(result.status))
        FAIRLEAD_RETURN_IF_ERROR(ApplyOne(batch, BatchWriter::Rows::kEachAlone, &result));
      if (!result.status.ok()) failed->insert(batch.shard);
    }
    return absl::OkStatus();
  }

  // OK: applied, or nothing of it is there and the result's status says why.
  absl::Status ApplyOne(const Batch& batch, BatchWriter::Rows rows, BatchResult* result) {
    *result = {};
    FAIRLEAD_RETURN_IF_ERROR(connection_->Savepoint("batch"));
    const absl::Status status = batch_writer_.Apply(batch, rows, result);
    if (status.ok()) return connection_->ReleaseSavepoint("batch");
    if (Transient(status)) return status;
    *result = {};
    result->status = status;
    return connection_->RollbackToSavepoint("batch");
  }

  // DESIGN section 2, invariant 2: the last statements, in shard order, an error if one hits no
  // row.
  absl::Status Fence(const std::vector<Batch>& batches, const std::vector<BatchResult>& results,
                     std::optional<ShardKey>* fenced) {
    std::map<ShardKey, std::vector<const Batch*>> shards;
    for (size_t i = 0; i < batches.size(); ++i) {
      if (results[i].status.ok()) shards[batches[i].shard].push_back(&batches[i]);
    }
    for (const auto& [shard, own] : shards) {
      const std::string account = base::ToBytes(shard.account);
      for (const Batch* batch : own) {
        FAIRLEAD_ASSIGN_OR_RETURN(
            const int64_t hit,
            sql::Run(*connection_,
                     "UPDATE shards SET last_seq = ? WHERE account = ? AND shard = ? AND store = ? "
                     "AND term = ? AND last_seq = ? AND replica = ?",
                     batch->seq, sql::Blob{account}, shard.shard, batch->epoch, batch->term,
                     batch->seq - 1, replica_));
        if (hit == 1) continue;
        *fenced = shard;
        return absl::OkStatus();
      }
    }
    return absl::OkStatus();
  }

  // A commit whose answer is an error may have happened: last_seq tells, as seq never restarts.
  absl::Status Commit(sql::Transaction* transaction, const std::vector<Batch>& batches,
                      const std::vector<BatchResult>& results) {
    const absl::Status committed = transaction->Commit();
    if (committed.ok() || connection_->InTransaction()) return committed;
    for (size_t i = batches.size(); i-- > 0;) {
      if (!results[i].status.ok()) continue;
      const std::string account = base::ToBytes(batches[i].shard.account);
      auto query = connection_->Prepare(
          "SELECT last_seq FROM shards WHERE account = ? AND shard = ? AND store = ? AND term = ? "
          "AND replica = ?");
      if (!query.ok()) return committed;
      sql::Bind(**query, sql::Blob{account}, batches[i].shard.shard, batches[i].epoch,
                batches[i].term, replica_);
      const auto row = (*query)->Step();
      const bool landed =
          row.ok() && *row && static_cast<uint64_t>((*query)->Int(0)) >= batches[i].seq;
      return landed ? absl::OkStatus() : committed;
    }
    return committed;
  }

  sql::Connection* connection_;
  const std::string replica_;
  BatchWriter batch_writer_;
};

Writer::Writer(sql::Connection* connection, const base::Clock* clock, const WriterOptions& options)
    : impl_(std::make_unique<Impl>(connection, clock, options)) {}
Writer::~Writer() = default;

absl::Status Writer::Write(const std::vector<Batch>& batches, std::vector<BatchResult>* results) {
  return impl_->Write(batches, results);
}

void Writer::ForgetShard(const ShardKey& shard) { impl_->ForgetShard(shard); }
size_t Writer::snapshot_keys() const { return impl_->snapshot_keys(); }

}  // namespace fairlead::endpoint::store
